//! A Bot API server: it speaks Telegram's protocol to a bot, and lets a test play the people who talk to the bot.
//!
//! It is as strict as the real one wherever a bot can be wrong: tokens, the length of texts and of button data, HTML
//! markup, one `getUpdates` at a time, and updates that are repeated until a later offset confirms them.

mod html;
mod protocol;
mod shared;
mod state;
mod words;

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use tokio::{
    runtime::Runtime,
    time::{Instant, timeout_at},
};

use self::shared::Shared;
pub use self::words::{Failure, Message, Notice, TOKEN, USERNAME};

/// The server. It stops, with all its connections, when this is dropped.
#[derive(Debug)]
pub struct BotApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// The server's own runtime, so that stopping it cuts open connections. `None` while it is away.
    runtime: Option<Runtime>,
}

impl BotApi {
    /// Starts a server on a free loopback port.
    ///
    /// # Panics
    /// No port is free.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
        let address = listener.local_addr().expect("a bound address");
        let shared = Arc::new(Shared::default());
        let runtime = Some(protocol::serve(listener, Arc::clone(&shared)));
        Self { address, shared, runtime }
    }

    /// The address for a bot's configuration.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Closes the port and all connections; the server's state is kept.
    pub fn go_away(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Serves again on the same port as before [`BotApi::go_away`].
    ///
    /// # Panics
    /// Another process has taken the port.
    pub fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).expect("the port is still free");
        self.runtime = Some(protocol::serve(listener, Arc::clone(&self.shared)));
    }

    /// Somebody writes to the bot; returns the message's number. A negative chat is a group.
    pub fn user_says(&self, chat: i64, text: &str) -> i64 {
        self.shared.change(|state| state.user_says(chat, text))
    }

    /// A person edits a message that they wrote.
    pub fn user_edits(&self, chat: i64, message: i64, text: &str) {
        self.shared.change(|state| state.user_edits(chat, message, text));
    }

    /// A person presses the newest button in the chat that carries `data`.
    ///
    /// # Panics
    /// There is no such button on the screen.
    pub fn user_presses(&self, chat: i64, data: &str) {
        let pressed = self.shared.change(|state| state.user_presses(chat, data));
        assert!(pressed, "there is no button {data:?} among {:#?}", self.messages(chat));
    }

    /// A person sends `data` with a modified client, as if the bot's message had such a button.
    pub fn user_forges(&self, chat: i64, message: i64, data: &str) {
        self.shared.change(|state| state.press(chat, message, data));
    }

    /// An update from the Bot API's next version. `kind` is its only field besides `update_id`.
    pub fn sends(&self, kind: &str, content: serde_json::Value) {
        self.shared.change(|state| state.queue(kind, content));
    }

    /// Sets the language of the chat's person.
    pub fn set_language(&self, chat: i64, code: &str) {
        self.shared.change(|state| code.clone_into(&mut state.chat(chat).language));
    }

    /// Sets whether the bot may delete other people's messages in a group; by default it may not.
    pub fn set_admin(&self, chat: i64, admin: bool) {
        self.shared.change(|state| state.chat(chat).bot_is_admin = admin);
    }

    /// Updates go to a webhook until the bot deletes it.
    pub fn set_webhook(&self) {
        self.shared.change(|state| state.webhook = true);
    }

    /// Makes the next `times` calls of `method` fail, whatever their content.
    pub fn fail(&self, method: &str, times: usize, failure: &Failure) {
        self.shared.change(|state| state.fail(method, times, failure));
    }

    /// Returns the bot's messages in a chat, oldest first. The newest 500 are kept.
    pub fn messages(&self, chat: i64) -> Vec<Message> {
        self.shared.quietly(|state| state.bot_messages(chat))
    }

    /// Returns the numbers of the messages that the bot deleted in a chat.
    pub fn deleted(&self, chat: i64) -> Vec<i64> {
        self.shared.quietly(|state| state.deleted(chat))
    }

    /// Returns the bot's answers to the buttons pressed in a chat, in order.
    pub fn notices(&self, chat: i64) -> Vec<Notice> {
        self.shared.quietly(|state| state.notices(chat))
    }

    /// Returns how often `method` was called, failures included.
    pub fn calls(&self, method: &str) -> usize {
        self.shared.quietly(|state| state.calls(method))
    }

    /// Returns the commands that the bot offers to clients in a language (`""` for all others).
    pub fn commands(&self, language: &str) -> Vec<String> {
        self.shared.quietly(|state| state.commands(language))
    }

    /// Returns the number of unconfirmed updates.
    pub fn unconfirmed(&self) -> usize {
        self.shared.quietly(|state| state.unconfirmed())
    }

    /// Waits for a message from the bot that `predicate` accepts; returns the newest one.
    pub async fn wait_for_message(
        &self,
        chat: i64,
        predicate: impl Fn(&Message) -> bool,
        patience: Duration,
    ) -> Option<Message> {
        let found = || self.messages(chat).into_iter().rev().find(&predicate);
        self.wait(found, patience).await
    }

    /// Waits until `found` returns something.
    pub async fn wait<T>(&self, found: impl Fn() -> Option<T>, patience: Duration) -> Option<T> {
        let deadline = Instant::now() + patience;
        let mut changes = self.shared.changes();
        loop {
            if let Some(found) = found() {
                return Some(found);
            }
            timeout_at(deadline, changes.changed()).await.ok()?.ok()?;
        }
    }
}

impl Drop for BotApi {
    fn drop(&mut self) {
        self.go_away();
    }
}
