//! What a test and the bot send to each other, and how calls fail.

/// The token that the server knows.
pub const TOKEN: &str = "424242:TEST-the_bots-token";

/// The bot's name, without the `@`.
pub const USERNAME: &str = "shop_test_bot";

/// A message from the bot, as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number in its chat.
    pub id: i64,
    /// The visible text, without markup.
    pub text: String,
    /// The buttons, row by row: the label, and the data that the bot gets when the button is pressed.
    pub buttons: Vec<Vec<(String, String)>>,
    /// How often the bot has edited it.
    pub edits: usize,
}

impl Message {
    /// The data of the first button whose label contains `label`.
    pub fn button(&self, label: &str) -> Option<&str> {
        let mut buttons = self.buttons.iter().flatten();
        buttons.find(|(text, _)| text.contains(label)).map(|(_, data)| data.as_str())
    }
}

/// The bot's answer to a pressed button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The text that pops up, if any.
    pub text: Option<String>,
}

/// How a call fails.
#[derive(Clone, Debug)]
pub enum Failure {
    /// 429 with this many seconds to wait.
    FloodControl(u32),
    /// A status with a description.
    Error(u16, &'static str),
    /// 502 with a page instead of JSON, as proxies answer.
    BadGateway,
}
