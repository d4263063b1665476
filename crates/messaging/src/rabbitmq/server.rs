use std::fmt;

use super::uri::Uri;
use crate::InvalidBrokerUrl;

/// Where a RabbitMQ is. Nothing is connected: every publisher and every consumer has a connection of its own.
#[derive(Clone)]
pub struct RabbitMq {
    pub(super) uri: Uri,
}

impl RabbitMq {
    /// The RabbitMQ at `url`, `amqp://user:password@host:port/vhost` or the same with `amqps`.
    ///
    /// Without a path, with the path `/`, `//` or `/%2f`, the virtual host is `/`.
    ///
    /// # Errors
    /// Another scheme, or no host.
    pub fn new(url: &str) -> Result<Self, InvalidBrokerUrl> {
        Ok(Self { uri: url.parse()? })
    }
}

impl fmt::Display for RabbitMq {
    /// The address, without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(f)
    }
}

impl fmt::Debug for RabbitMq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RabbitMq({})", self.uri)
    }
}
