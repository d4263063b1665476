//! An event bus: a topic exchange to publish to and consume from, with at-least-once delivery.
//!
//! Two implementations with the same behaviour, checked by the same contract tests: RabbitMQ ([`rabbitmq`]) and an
//! exchange inside the process ([`in_process`]). This crate knows nothing about the messages' content.
//!
//! [`Broker`] chooses between them by the URL's scheme: `amqp://` or `amqps://`, or `memory:`.
//!
//! ```
//! use std::time::Duration;
//!
//! use shop_messaging::{
//!     Broker, Delivery, Failure, Message, PublisherOptions, Subscription, Verdict, in_process::InProcessBroker,
//! };
//! use tokio_util::sync::CancellationToken;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let broker = Broker::from(InProcessBroker::default());
//!
//! // The queue of the consumer `greeter`, which receives everything under `greeting.`.
//! let subscription = Subscription::new("events", "greeter", ["greeting.#"]);
//! broker.declare(&subscription).await.unwrap();
//!
//! let mut publisher = broker.publisher(PublisherOptions::new("events", "example"));
//! let message = Message {
//!     id: uuid::Uuid::new_v4(),
//!     kind: "greeting_sent".to_owned(),
//!     routing_key: "greeting.sent".to_owned(),
//!     app_id: "example".to_owned(),
//!     timestamp: chrono::DateTime::UNIX_EPOCH,
//!     headers: Default::default(),
//!     payload: r#"{"hello":"world"}"#.into(),
//! };
//! let verdicts = publisher.publish(&[message], Duration::from_secs(5)).await.unwrap();
//! assert_eq!(verdicts, [Verdict::Confirmed]);
//!
//! let stop = CancellationToken::new();
//! let greet = async |delivery: Delivery| {
//!     let greeting: serde_json::Value = delivery.json()?;
//!     assert_eq!(greeting["hello"], "world");
//!     stop.cancel();
//!     Ok::<_, Failure>(())
//! };
//! broker.consume(subscription, |delivery| greet(delivery), stop.clone()).await;
//! # });
//! ```
#![warn(missing_docs)]

mod backend;
mod backoff;
mod broker;
mod consume;
mod error;
mod handling;
pub mod in_process;
mod lanes;
mod message;
mod publish;
pub mod rabbitmq;
mod topic;

pub use broker::Broker;
pub use consume::{BoxError, DeadLetter, Delivery, Failure, Handler, Subscription};
pub use error::{BrokerError, InvalidBrokerUrl, PublishError};
pub use message::{HeaderValue, Message};
pub use publish::{EventLog, Publisher, PublisherOptions, Verdict};
