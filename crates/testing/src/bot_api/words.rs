//! What a test and the bot say to each other, and how calls fail.

/// The token that the server knows.
pub const TOKEN: &str = "424242:TEST-the_bots-token";

/// The bot's name, without the `@`.
pub const USERNAME: &str = "shop_test_bot";

/// A message of the bot, as it is on people's screens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number in its chat.
    pub id: i64,
    /// What one reads: without markup.
    pub text: String,
    /// The buttons, row by row: what one reads, and what the bot is told when it is pressed.
    pub buttons: Vec<Vec<(String, String)>>,
    /// How often the bot changed it.
    pub edits: usize,
}

impl Message {
    /// The data of the first button whose label contains `label`.
    pub fn button(&self, label: &str) -> Option<&str> {
        let mut buttons = self.buttons.iter().flatten();
        buttons.find(|(text, _)| text.contains(label)).map(|(_, data)| data.as_str())
    }
}

/// What the bot answered to a pressed button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What pops up; `None` when nothing does.
    pub text: Option<String>,
}

/// How a call is to fail.
#[derive(Clone, Debug)]
pub enum Failure {
    /// 429 with this many seconds to wait.
    FloodControl(u32),
    /// A status with a description.
    Error(u16, &'static str),
    /// 502 with a page instead of JSON, as a proxy answers.
    BadGateway,
}
