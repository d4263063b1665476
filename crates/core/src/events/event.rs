use serde::{Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

/// The topic exchange for all events of the shop.
pub const EXCHANGE: &str = "shop_events";

/// An event's payload, with the event's name and routing key. Its schema is in docs/events, generated from the type.
pub trait Event: Serialize + DeserializeOwned + ToSchema {
    /// The AMQP `type` and the outbox row's `event_type`.
    const TYPE: &'static str;
    /// The AMQP routing key.
    const ROUTING_KEY: &'static str;
}
