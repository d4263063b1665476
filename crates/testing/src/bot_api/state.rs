//! The state of a Bot API server: chats, messages and the updates that a bot has not confirmed.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::SystemTime,
};

use serde_json::{Value, json};

use super::{
    html,
    words::{Failure, Message, Notice, USERNAME},
};

/// How much is kept; the oldest entries are dropped.
const MAX_UPDATES: usize = 1000;
const MAX_MESSAGES: usize = 500;

/// The Bot API's limits.
const MAX_TEXT: usize = 4096;
const MAX_DATA: usize = 64;
const MAX_NOTICE: usize = 200;

/// The Bot API's answer: a result, or a status with a description.
pub(super) type Answer = Result<Value, (u16, String)>;

fn refused<T>(description: impl Into<String>) -> Result<T, (u16, String)> {
    Err((400, format!("Bad Request: {}", description.into())))
}

#[derive(Debug, Default)]
pub(super) struct State {
    chats: BTreeMap<i64, Chat>,
    updates: VecDeque<(i64, String, Value)>,
    last_update: i64,
    /// The kinds of updates that the bot asked for; `None` before it asked.
    allowed: Option<Vec<String>>,
    /// Counts `getUpdates` calls: a newer one ends the older.
    pub(super) polls: u64,
    pub(super) webhook: bool,
    failures: Vec<(String, usize, Failure)>,
    calls: HashMap<String, usize>,
    commands: HashMap<String, Vec<String>>,
    queries: HashMap<String, i64>,
    last_query: u64,
}

#[derive(Debug)]
pub(super) struct Chat {
    last_message: i64,
    messages: BTreeMap<i64, Kept>,
    deleted: Vec<i64>,
    notices: Vec<Notice>,
    pub(super) language: String,
    pub(super) bot_is_admin: bool,
}

impl Default for Chat {
    fn default() -> Self {
        Self {
            last_message: 0,
            messages: BTreeMap::new(),
            deleted: Vec::new(),
            notices: Vec::new(),
            language: "en".to_owned(),
            bot_is_admin: false,
        }
    }
}

#[derive(Clone, Debug)]
struct Kept {
    from_bot: bool,
    text: String,
    markup: Option<Value>,
    edits: usize,
    date: u64,
}

impl State {
    pub(super) fn chat(&mut self, chat: i64) -> &mut Chat {
        self.chats.entry(chat).or_default()
    }

    // The people's side.

    pub(super) fn user_says(&mut self, chat: i64, text: &str) -> i64 {
        let id = self.keep(chat, false, text, None);
        let message = self.message(chat, id);
        self.queue("message", message);
        id
    }

    pub(super) fn user_edits(&mut self, chat: i64, id: i64, text: &str) {
        if let Some(message) = self.chat(chat).messages.get_mut(&id) {
            text.clone_into(&mut message.text);
        }
        let mut message = self.message(chat, id);
        message["edit_date"] = json!(now());
        self.queue("edited_message", message);
    }

    /// Returns `false` if no message has such a button.
    pub(super) fn user_presses(&mut self, chat: i64, data: &str) -> bool {
        let has_it = |message: &Kept| buttons(message).iter().flatten().any(|(_, own)| own == data);
        let newest = self.chat(chat).messages.iter().rev().find(|(_, message)| has_it(message));
        let Some(id) = newest.map(|(id, _)| *id) else { return false };
        self.press(chat, id, data);
        true
    }

    pub(super) fn press(&mut self, chat: i64, message: i64, data: &str) {
        self.last_query += 1;
        let query = format!("query-{}", self.last_query);
        self.queries.insert(query.clone(), chat);
        let query = json!({
            "id": query,
            "from": self.person(chat),
            "chat_instance": chat.to_string(),
            "message": self.message(chat, message),
            "data": data,
        });
        self.queue("callback_query", query);
    }

    pub(super) fn queue(&mut self, kind: &str, content: Value) {
        if self.allowed.as_ref().is_some_and(|allowed| !allowed.iter().any(|allowed| allowed == kind)) {
            return;
        }
        self.last_update = self.last_update.max(1000) + 1;
        self.updates.push_back((self.last_update, kind.to_owned(), content));
        if self.updates.len() > MAX_UPDATES {
            self.updates.pop_front();
        }
    }

    pub(super) fn fail(&mut self, method: &str, times: usize, failure: &Failure) {
        self.failures.push((method.to_lowercase(), times, failure.clone()));
    }

    pub(super) fn bot_messages(&self, chat: i64) -> Vec<Message> {
        let messages = self.chats.get(&chat).into_iter().flat_map(|chat| &chat.messages);
        messages
            .filter(|(_, message)| message.from_bot)
            .map(|(id, message)| Message {
                id: *id,
                text: message.text.clone(),
                buttons: buttons(message),
                edits: message.edits,
            })
            .collect()
    }

    pub(super) fn deleted(&self, chat: i64) -> Vec<i64> {
        self.chats.get(&chat).map(|chat| chat.deleted.clone()).unwrap_or_default()
    }

    pub(super) fn notices(&self, chat: i64) -> Vec<Notice> {
        self.chats.get(&chat).map(|chat| chat.notices.clone()).unwrap_or_default()
    }

    pub(super) fn calls(&self, method: &str) -> usize {
        self.calls.get(&method.to_lowercase()).copied().unwrap_or_default()
    }

    pub(super) fn commands(&self, language: &str) -> Vec<String> {
        self.commands.get(language).cloned().unwrap_or_default()
    }

    pub(super) fn unconfirmed(&self) -> usize {
        self.updates.len()
    }

    // The bot's side. Method names are compared in lower case, because the Bot API ignores their case.

    /// Counts a call, and returns how it fails, if it does.
    pub(super) fn called(&mut self, method: &str) -> Option<Failure> {
        *self.calls.entry(method.to_owned()).or_default() += 1;
        let failure = self.failures.iter_mut().find(|(failing, left, _)| failing == method && *left > 0)?;
        failure.1 -= 1;
        Some(failure.2.clone())
    }

    /// Returns the updates from `offset` on. All earlier ones are forgotten; a negative offset counts from the end.
    pub(super) fn updates(&mut self, offset: i64, limit: usize) -> Vec<Value> {
        let first = if offset < 0 { self.last_update + 1 + offset } else { offset };
        self.updates.retain(|(id, ..)| *id >= first);
        let given = self.updates.iter().take(limit.clamp(1, 100));
        given.map(|(id, kind, content)| json!({ "update_id": id, kind: content })).collect()
    }

    pub(super) fn allow(&mut self, kinds: &Value) {
        let kinds = kinds.as_array().into_iter().flatten();
        let kinds: Vec<String> = kinds.filter_map(Value::as_str).map(str::to_owned).collect();
        // An empty list means the default, which includes everything that is queued here.
        self.allowed = (!kinds.is_empty()).then_some(kinds);
    }

    /// Carries out any method but `getUpdates`.
    pub(super) fn carry_out(&mut self, method: &str, parameters: &Value) -> Answer {
        match method {
            "getme" => Ok(me()),
            "deletewebhook" => {
                self.webhook = false;
                Ok(json!(true))
            }
            "setmycommands" => self.set_commands(parameters),
            "sendmessage" => self.send_message(parameters),
            "editmessagetext" => self.edit_message(parameters),
            "deletemessage" => self.delete_message(parameters),
            "answercallbackquery" => self.answer_query(parameters),
            _ => Err((404, "Not Found: method not found".to_owned())),
        }
    }

    fn set_commands(&mut self, parameters: &Value) -> Answer {
        let commands = parameters["commands"].as_array().into_iter().flatten();
        let names: Vec<String> =
            commands.filter_map(|command| command["command"].as_str()).map(str::to_owned).collect();
        let language = parameters["language_code"].as_str().unwrap_or_default();
        self.commands.insert(language.to_owned(), names);
        Ok(json!(true))
    }

    fn send_message(&mut self, parameters: &Value) -> Answer {
        let chat = self.known_chat(parameters)?;
        let text = text(parameters)?;
        let markup = markup(parameters)?;
        let id = self.keep(chat, true, &text, markup);
        Ok(self.message(chat, id))
    }

    fn edit_message(&mut self, parameters: &Value) -> Answer {
        let chat = self.known_chat(parameters)?;
        let id = integer(&parameters["message_id"]).unwrap_or_default();
        let text = text(parameters)?;
        let markup = markup(parameters)?;
        let Some(message) = self.chat(chat).messages.get_mut(&id) else {
            return refused("message to edit not found");
        };
        if !message.from_bot {
            return refused("message can't be edited");
        }
        if message.text == text && message.markup == markup {
            return refused(
                "message is not modified: specified new message content and reply markup are exactly the same as a \
                 current content and reply markup of the message",
            );
        }
        message.text = text;
        message.markup = markup;
        message.edits += 1;
        Ok(self.message(chat, id))
    }

    fn delete_message(&mut self, parameters: &Value) -> Answer {
        let id = self.known_chat(parameters)?;
        let chat = self.chat(id);
        let message = integer(&parameters["message_id"]).unwrap_or_default();
        let Some(kept) = chat.messages.get(&message) else {
            return refused("message to delete not found");
        };
        // In a private chat a bot may delete incoming messages; in a group only if it is an administrator.
        if id < 0 && !kept.from_bot && !chat.bot_is_admin {
            return refused("message can't be deleted");
        }
        chat.messages.remove(&message);
        chat.deleted.push(message);
        Ok(json!(true))
    }

    fn answer_query(&mut self, parameters: &Value) -> Answer {
        let text = parameters["text"].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        if text.as_ref().is_some_and(|text| text.chars().count() > MAX_NOTICE) {
            return refused("MESSAGE_TOO_LONG");
        }
        let query = parameters["callback_query_id"].as_str().unwrap_or_default();
        match self.queries.remove(query) {
            Some(chat) => {
                self.chat(chat).notices.push(Notice { text });
                Ok(json!(true))
            }
            None => refused("query is too old and response timeout expired or query ID is invalid"),
        }
    }

    fn known_chat(&self, parameters: &Value) -> Result<i64, (u16, String)> {
        match integer(&parameters["chat_id"]).filter(|chat| self.chats.contains_key(chat)) {
            Some(chat) => Ok(chat),
            None => refused("chat not found"),
        }
    }

    fn keep(&mut self, chat: i64, from_bot: bool, text: &str, markup: Option<Value>) -> i64 {
        let chat = self.chat(chat);
        chat.last_message += 1;
        let message = Kept { from_bot, text: text.to_owned(), markup, edits: 0, date: now() };
        chat.messages.insert(chat.last_message, message);
        if chat.messages.len() > MAX_MESSAGES {
            chat.messages.pop_first();
        }
        chat.last_message
    }

    /// The message as the Bot API shows it.
    fn message(&mut self, chat: i64, id: i64) -> Value {
        let person = self.person(chat);
        let shown = if chat < 0 {
            json!({ "id": chat, "type": "group", "title": "Friends" })
        } else {
            json!({ "id": chat, "type": "private", "first_name": "Alex" })
        };
        let Some(kept) = self.chat(chat).messages.get(&id) else {
            // What a button of a deleted message is under.
            return json!({ "message_id": id, "chat": shown, "date": 0 });
        };
        let mut message = json!({ "message_id": id, "chat": shown, "date": kept.date, "text": kept.text });
        message["from"] = if kept.from_bot { me() } else { person };
        if let Some(markup) = &kept.markup {
            message["reply_markup"] = markup.clone();
        }
        if kept.text.starts_with('/') {
            let command = kept.text.split_whitespace().next().unwrap_or_default();
            let length = command.encode_utf16().count();
            message["entities"] = json!([{ "type": "bot_command", "offset": 0, "length": length }]);
        }
        message
    }

    fn person(&mut self, chat: i64) -> Value {
        let language = &self.chat(chat).language;
        json!({ "id": chat.abs(), "is_bot": false, "first_name": "Alex", "language_code": language })
    }
}

fn me() -> Value {
    json!({
        "id": 424_242,
        "is_bot": true,
        "first_name": "Shop",
        "username": USERNAME,
        "can_join_groups": true,
        "can_read_all_group_messages": false,
        "supports_inline_queries": false,
        "can_connect_to_business": false,
        "has_main_web_app": false,
    })
}

/// What one will read, checked as the Bot API does.
fn text(parameters: &Value) -> Result<String, (u16, String)> {
    let text = parameters["text"].as_str().unwrap_or_default();
    let is_html = parameters["parse_mode"].as_str().is_some_and(|mode| mode.eq_ignore_ascii_case("html"));
    let text = if is_html {
        html::visible(text).or_else(|error| refused(format!("can't parse entities: {error}")))?
    } else {
        text.to_owned()
    };
    match text.encode_utf16().count() {
        0 => refused("message text is empty"),
        1..=MAX_TEXT => Ok(text),
        _ => refused("message is too long"),
    }
}

/// The inline keyboard, which is an object or, in a form, an object's text.
fn markup(parameters: &Value) -> Result<Option<Value>, (u16, String)> {
    let markup = match &parameters["reply_markup"] {
        Value::Null => return Ok(None),
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        markup => markup.clone(),
    };
    let Some(rows) = markup["inline_keyboard"].as_array() else {
        return refused("object expected as reply markup");
    };
    for button in rows.iter().filter_map(Value::as_array).flatten() {
        if button["text"].as_str().is_none_or(str::is_empty) {
            return refused("inline keyboard button text is empty");
        }
        if button["callback_data"].as_str().is_none_or(|data| !(1..=MAX_DATA).contains(&data.len())) {
            return refused("BUTTON_DATA_INVALID");
        }
    }
    Ok(Some(markup))
}

fn buttons(message: &Kept) -> Vec<Vec<(String, String)>> {
    let rows = message.markup.as_ref().and_then(|markup| markup["inline_keyboard"].as_array());
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let row = |row: &Value| {
        let buttons = row.as_array().into_iter().flatten();
        buttons.map(|button| (word(&button["text"]), word(&button["callback_data"]))).collect()
    };
    rows.into_iter().flatten().map(row).collect()
}

/// A number, or in a form its text.
pub(super) fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

#[expect(clippy::disallowed_methods, reason = "it stands for a server elsewhere, with a clock of its own")]
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
