use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A message, to be published or from a queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// AMQP `message_id`, by which consumers recognise duplicates.
    pub id: Uuid,
    /// AMQP `type`: the event's type. At most 255 bytes.
    pub kind: String,
    /// The AMQP routing key. At most 255 bytes.
    pub routing_key: String,
    /// AMQP `app_id`: who published. At most 255 bytes.
    pub app_id: String,
    /// AMQP `timestamp`: when it happened, to the second on the wire.
    pub timestamp: DateTime<Utc>,
    /// AMQP headers: `traceparent`, `aggregate_id` and the like.
    pub headers: BTreeMap<String, HeaderValue>,
    /// The body. AMQP `content_type` is always `application/json`.
    pub payload: Bytes,
}

/// What AMQP's `shortstr` holds, in bytes.
pub(crate) const SHORT: usize = 255;

/// How many bytes all headers may take: they go in one frame, and brokers may ask for frames of 128 KiB at most.
const HEADERS: usize = 32 * 1024;

impl Message {
    /// Why no broker would accept this message; `None` if it can be sent.
    pub(crate) fn refusal(&self, max_payload: usize) -> Option<String> {
        let names = self.headers.keys().map(|name| ("a header's name", name));
        let shorts =
            [("the type", &self.kind), ("the routing key", &self.routing_key), ("the app_id", &self.app_id)];
        if let Some((what, text)) = shorts.into_iter().chain(names).find(|(_, text)| text.len() > SHORT) {
            return Some(format!("{what} has {} bytes, more than {SHORT}", text.len()));
        }
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if headers > HEADERS {
            return Some(format!("the headers have {headers} bytes, more than {HEADERS}"));
        }
        let payload = self.payload.len();
        (payload > max_payload).then(|| format!("the payload has {payload} bytes, more than {max_payload}"))
    }
}

/// The value of a header: a text or a whole number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum HeaderValue {
    /// A whole number (AMQP `long-long-int`).
    Number(i64),
    /// A text (AMQP `long-string`).
    Text(String),
}

impl From<String> for HeaderValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for HeaderValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for HeaderValue {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl HeaderValue {
    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(_) => None,
        }
    }

    /// The number, if it is one.
    pub fn as_number(&self) -> Option<i64> {
        match self {
            Self::Text(_) => None,
            Self::Number(number) => Some(*number),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Number(_) => size_of::<i64>(),
        }
    }
}
