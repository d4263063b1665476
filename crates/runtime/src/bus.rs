//! A service's event bus: the broker named in its configuration, or the bus of the process that hosts it.
//!
//! The RabbitMQ client is only linked into a binary if [`BusUrl`] is part of a configuration, or [`Bus::open`] is called.

use std::{fmt, str::FromStr, time::Duration};

use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};
use shop_messaging::{Broker, BrokerError, InvalidBrokerUrl, Subscription};
use tokio::time::timeout;

use crate::config::redacted;

/// How long a start waits for a broker to declare the queues. After that the consumers declare them, when the broker is there.
const START_PATIENCE: Duration = Duration::from_secs(5);

/// Where a service's bus is: `amqp://…` or `amqps://…`, or inside the process. Never shown with its password.
#[derive(Clone)]
pub struct BusUrl(Place);

#[derive(Clone)]
enum Place {
    Process,
    At(SecretString),
}

impl BusUrl {
    /// The bus of the process. Only a process that hosts several services has one, so no variable can select it.
    pub const EMBEDDED: Self = Self(Place::Process);
}

impl FromStr for BusUrl {
    type Err = InvalidBrokerUrl;

    fn from_str(text: &str) -> Result<Self, InvalidBrokerUrl> {
        Broker::open(text, None)?;
        Ok(Self(Place::At(text.into())))
    }
}

impl fmt::Debug for BusUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Process => f.write_str("memory:"),
            Place::At(address) => f.write_str(&redacted(address.expose_secret())),
        }
    }
}

/// The bus of the process, if it has its own.
#[derive(Clone, Debug, Default)]
pub struct Bus(Option<Broker>);

impl Bus {
    /// For the services of a process that carries its own bus.
    pub fn of_process(broker: Broker) -> Self {
        Self(Some(broker))
    }

    /// The broker at `url`. Nothing is connected yet.
    ///
    /// # Errors
    /// It is the process's own, but the process has none.
    pub fn open(&self, url: &BusUrl) -> anyhow::Result<Broker> {
        Ok(match &url.0 {
            Place::Process => self.0.clone().context("the process has no bus of its own")?,
            Place::At(address) => Broker::open(address.expose_secret(), None)?,
        })
    }
}

/// A service's queues that must exist before events that it must not miss are published.
pub(crate) struct Queues {
    broker: Option<Broker>,
    subscriptions: Vec<Subscription>,
}

impl Queues {
    pub(crate) fn new(broker: Option<Broker>, subscriptions: Vec<Subscription>) -> anyhow::Result<Self> {
        anyhow::ensure!(
            broker.is_some() || subscriptions.is_empty(),
            "a service with subscriptions says where its bus is (Service::bus)"
        );
        Ok(Self { broker, subscriptions })
    }

    /// Declares them all.
    ///
    /// # Errors
    /// The broker is away, or already has such a queue with other limits.
    pub(crate) async fn declare(&self) -> anyhow::Result<()> {
        let Some(broker) = &self.broker else { return Ok(()) };
        for subscription in &self.subscriptions {
            let declared = broker.declare(subscription).await;
            declared.with_context(|| format!("the queue {} on {broker}", subscription.queue))?;
        }
        Ok(())
    }

    /// The same for a service that is starting: if the broker is away, the service starts anyway.
    ///
    /// # Errors
    /// The broker already has such a queue with other limits, or refuses to create it.
    pub(crate) async fn declare_at_start(&self) -> anyhow::Result<()> {
        let error = match timeout(START_PATIENCE, self.declare()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) if is_away(&error) => format!("{error:#}"),
            Ok(Err(error)) => return Err(error),
            Err(_) => format!("no answer within {START_PATIENCE:?}"),
        };
        tracing::warn!(error, "the queues are not declared yet: the consumers will do it");
        Ok(())
    }
}

fn is_away(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(BrokerError::Disconnected(_)))
}

#[cfg(test)]
mod tests {
    use shop_messaging::in_process::InProcessBroker;

    use super::*;

    fn away() -> Broker {
        Bus::default().open(&"amqp://guest:s3cret@127.0.0.1:1//".parse().unwrap()).unwrap()
    }

    fn orders() -> Vec<Subscription> {
        vec![Subscription::new("events", "orders", ["#"])]
    }

    #[test]
    fn a_variable_names_a_broker_and_never_the_process() {
        let url: BusUrl = "amqps://guest:s3cret@rabbitmq".parse().unwrap();
        assert_eq!(format!("{url:?}"), "amqps://rabbitmq");
        assert_eq!("memory:".parse::<BusUrl>().unwrap_err(), InvalidBrokerUrl::NotEmbedded);
        assert!("http://rabbitmq".parse::<BusUrl>().is_err());
    }

    #[test]
    fn the_bus_of_the_process_is_had_only_where_there_is_one() {
        assert!(Bus::default().open(&BusUrl::EMBEDDED).is_err());
        let bus = Bus::of_process(InProcessBroker::default().into());
        assert_eq!(bus.open(&BusUrl::EMBEDDED).unwrap().to_string(), "memory:");
    }

    #[tokio::test]
    async fn a_declared_queue_gets_what_is_published_before_anybody_consumes() {
        let broker = Broker::from(InProcessBroker::default());
        Queues::new(Some(broker.clone()), orders()).unwrap().declare().await.unwrap();
        assert!(broker.dead_letters("orders", 1).await.unwrap().is_empty(), "the queue exists");
    }

    #[tokio::test]
    async fn a_start_goes_on_without_the_broker_and_a_migration_does_not() {
        let queues = Queues::new(Some(away()), orders()).unwrap();
        queues.declare_at_start().await.unwrap();
        let error = format!("{:#}", queues.declare().await.unwrap_err());
        assert!(
            error.starts_with("the queue orders on amqp://guest:…@127.0.0.1:1") && !error.contains("s3cret"),
            "{error}"
        );
    }

    #[test]
    fn subscriptions_without_a_bus_are_refused() {
        assert!(Queues::new(None, orders()).is_err());
        assert!(Queues::new(None, Vec::new()).is_ok());
    }
}
