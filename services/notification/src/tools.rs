use shop_runtime::consumer::{Consumes, Tool as DeadLetters};

use crate::Notification;

/// The operator's tools: the messages that no customer could be told about.
pub type Tool = DeadLetters<Notification>;

impl Consumes for Notification {
    const QUEUE: &'static str = "notification";
    const OTHER_QUEUES: &'static [&'static str] = &["notification.telegram"];
    const BUS_VARIABLE: &'static str = "NOTIFICATION_RABBITMQ_URL";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Channel;

    #[test]
    fn the_tools_know_every_channels_queue() {
        assert_eq!(Notification::QUEUE, Channel::Email.queue());
        assert_eq!(Notification::OTHER_QUEUES, [Channel::Telegram.queue()]);
    }
}
