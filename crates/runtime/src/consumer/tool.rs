//! The operator's tools for what a consumer could not handle: its dead letters.
//!
//! Standard output is for what was asked, a table or one JSON object a line; standard error for remarks about it.

use std::{
    io::{self, Write},
    marker::PhantomData,
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Args, Subcommand, builder::PossibleValuesParser};
use serde::Serialize;
use serde_json::{Map, Value};
use shop_messaging::{Broker, DeadLetter, HeaderValue};
use uuid::Uuid;

use crate::{
    Tools,
    bus::{Bus, BusUrl},
    table,
};

/// A service that consumes from a queue, or from several.
pub trait Consumes: Send + Sync + 'static {
    /// The queue; of several, the one that a tool works on if no other is named.
    const QUEUE: &'static str;
    /// Further queues, which `--queue` selects.
    const OTHER_QUEUES: &'static [&'static str] = &[];
    /// The variable that names the bus.
    const BUS_VARIABLE: &'static str;
}

/// The tools of `S`, to be the service's own or to be flattened into them.
#[derive(Subcommand)]
pub enum Tool<S: Consumes> {
    /// Look at the messages that could not be handled, handle them again, or discard them
    #[command(subcommand, name = "dead-letters")]
    DeadLetters(DeadLetters<S>),
}

/// What can be done about dead letters.
#[derive(Subcommand)]
pub enum DeadLetters<S: Consumes> {
    /// List them, oldest first
    List(List<S>),
    /// Show one whole: payload, headers, reason
    Show(Show<S>),
    /// Put them back into the queue, with their attempts forgotten; they come after what was handled since
    Replay(Replay<S>),
    /// Remove them for good, and print each whole, as JSON
    Discard(Discard<S>),
}

/// Which to list, and how.
#[derive(Args)]
pub struct List<S: Consumes> {
    /// How many at most, 1 to 1000
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    place: Place<S>,
}

/// Which to show, and how.
#[derive(Args)]
pub struct Show<S: Consumes> {
    /// Its message_id
    message_id: Uuid,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    place: Place<S>,
}

/// Which to replay.
#[derive(Args)]
pub struct Replay<S: Consumes> {
    /// Their message_ids
    #[arg(value_name = "MESSAGE_ID", required_unless_present = "all")]
    message_ids: Vec<Uuid>,
    /// All of them
    #[arg(long, conflicts_with = "message_ids")]
    all: bool,
    #[command(flatten)]
    place: Place<S>,
}

/// Which to discard.
#[derive(Args)]
pub struct Discard<S: Consumes> {
    /// Their message_ids
    #[arg(value_name = "MESSAGE_ID", required = true)]
    message_ids: Vec<Uuid>,
    #[command(flatten)]
    place: Place<S>,
}

#[derive(Args)]
struct Output {
    /// One JSON object a line, for scripts
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Place<S: Consumes> {
    /// Which queue's dead letters
    #[arg(
        long,
        default_value = S::QUEUE,
        value_parser = PossibleValuesParser::new(queues::<S>()),
        hide = S::OTHER_QUEUES.is_empty()
    )]
    queue: String,
    /// The broker: amqp://user:password@host:port/vhost
    #[arg(long, env = S::BUS_VARIABLE, hide_env_values = true)]
    rabbitmq_url: BusUrl,
    #[arg(skip)]
    service: PhantomData<S>,
}

impl<S: Consumes> Tools for Tool<S> {
    async fn run(self) -> anyhow::Result<ExitCode> {
        self.print(&mut io::stdout()).await
    }
}

impl<S: Consumes> Tool<S> {
    async fn print(self, output: &mut impl Write) -> anyhow::Result<ExitCode> {
        let Self::DeadLetters(tool) = self;
        match tool {
            DeadLetters::List(tool) => tool.run(output).await,
            DeadLetters::Show(tool) => tool.run(output).await,
            DeadLetters::Replay(tool) => tool.run().await,
            DeadLetters::Discard(tool) => tool.run(output).await,
        }
    }
}

impl<S: Consumes> List<S> {
    async fn run(self, output: &mut impl Write) -> anyhow::Result<ExitCode> {
        let letters = self.place.open()?.dead_letters(&self.place.queue, self.limit.into()).await?;
        let letters: Vec<_> = letters.iter().map(Letter::from).collect();
        print(
            output,
            &if self.output.json { table::json_lines(&letters)? } else { Letter::table(&letters) },
        )?;
        match letters.len() {
            0 => eprintln!("there are no dead letters"),
            count if count == usize::from(self.limit) => eprintln!("there may be more"),
            _ => {}
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl<S: Consumes> Show<S> {
    async fn run(self, output: &mut impl Write) -> anyhow::Result<ExitCode> {
        let Some(letter) = self.place.open()?.dead_letter(&self.place.queue, self.message_id).await? else {
            return Ok(missing(self.message_id));
        };
        let letter = Letter::from(&letter);
        print(output, &if self.output.json { table::json_lines([&letter])? } else { letter.whole() })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl<S: Consumes> Replay<S> {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let (broker, queue) = (self.place.open()?, &self.place.queue);
        if self.all {
            eprintln!("{} replayed", broker.replay_dead_letters(queue, usize::MAX).await?);
            return Ok(ExitCode::SUCCESS);
        }
        let (mut replayed, mut code) = (0, ExitCode::SUCCESS);
        for id in self.message_ids {
            if broker.replay_dead_letter(queue, id).await? {
                replayed += 1;
            } else {
                code = missing(id);
            }
        }
        eprintln!("{replayed} replayed");
        Ok(code)
    }
}

impl<S: Consumes> Discard<S> {
    async fn run(self, output: &mut impl Write) -> anyhow::Result<ExitCode> {
        let (broker, queue) = (self.place.open()?, &self.place.queue);
        let (mut discarded, mut code) = (0, ExitCode::SUCCESS);
        for id in self.message_ids {
            let Some(letter) = broker.dead_letter(queue, id).await? else {
                code = missing(id);
                continue;
            };
            // Printed before: what cannot be written down is not thrown away.
            print(output, &table::json_lines([Letter::from(&letter)])?)?;
            if broker.discard_dead_letter(queue, id).await? {
                discarded += 1;
            }
        }
        eprintln!("{discarded} discarded");
        Ok(code)
    }
}

fn queues<S: Consumes>() -> impl Iterator<Item = &'static str> {
    std::iter::once(S::QUEUE).chain(S::OTHER_QUEUES.iter().copied())
}

impl<S: Consumes> Place<S> {
    fn open(&self) -> anyhow::Result<Broker> {
        Bus::default().open(&self.rabbitmq_url).context(S::BUS_VARIABLE)
    }
}

fn missing(id: Uuid) -> ExitCode {
    eprintln!("{id}: no such dead letter, or the queue has no room for it");
    ExitCode::FAILURE
}

fn print(output: &mut impl Write, text: &str) -> io::Result<()> {
    output.write_all(text.as_bytes())?;
    output.flush()
}

/// A dead letter as it is shown.
#[derive(Serialize)]
struct Letter {
    message_id: Uuid,
    event_type: String,
    routing_key: String,
    aggregate_id: Option<String>,
    aggregate_version: Option<i64>,
    occurred_at: String,
    publisher: String,
    reason: String,
    headers: Map<String, Value>,
    /// JSON, or the text of what is none.
    payload: Value,
}

impl From<&DeadLetter> for Letter {
    fn from(DeadLetter { message, reason }: &DeadLetter) -> Self {
        let header = |name: &str| message.headers.get(name);
        let value = |value: &HeaderValue| match value {
            HeaderValue::Text(text) => Value::from(text.as_str()),
            HeaderValue::Number(number) => Value::from(*number),
        };
        let payload = serde_json::from_slice(&message.payload)
            .unwrap_or_else(|_| String::from_utf8_lossy(&message.payload).into());
        Self {
            message_id: message.id,
            event_type: message.kind.clone(),
            routing_key: message.routing_key.clone(),
            aggregate_id: header("aggregate_id").and_then(HeaderValue::as_text).map(str::to_owned),
            aggregate_version: header("aggregate_version").and_then(HeaderValue::as_number),
            occurred_at: table::time(message.timestamp),
            publisher: message.app_id.clone(),
            reason: reason.clone(),
            headers: message.headers.iter().map(|(name, header)| (name.clone(), value(header))).collect(),
            payload,
        }
    }
}

impl Letter {
    /// A line for each; nothing for none.
    fn table(letters: &[Self]) -> String {
        if letters.is_empty() {
            return String::new();
        }
        let head =
            ["MESSAGE", "EVENT", "AGGREGATE", "VERSION", "OCCURRED", "REASON"].map(str::to_owned).to_vec();
        let body = letters.iter().map(|letter| {
            vec![
                letter.message_id.to_string(),
                letter.event_type.clone(),
                letter.aggregate_id.clone().unwrap_or_default(),
                letter.aggregate_version.map(|version| version.to_string()).unwrap_or_default(),
                letter.occurred_at.clone(),
                letter.reason.clone(),
            ]
        });
        table::columns(&std::iter::once(head).chain(body).collect::<Vec<_>>())
    }

    fn whole(&self) -> String {
        table::fields([
            ("message_id", Some(self.message_id.to_string())),
            ("event", Some(self.event_type.clone())),
            ("routing key", Some(self.routing_key.clone())),
            ("aggregate", self.aggregate_id.clone()),
            ("version", self.aggregate_version.map(|version| version.to_string())),
            ("occurred", Some(self.occurred_at.clone())),
            ("publisher", Some(self.publisher.clone())),
            ("reason", Some(self.reason.clone())),
            ("headers", Some(Value::Object(self.headers.clone()).to_string())),
            ("payload", Some(self.payload.as_str().map_or_else(|| self.payload.to_string(), str::to_owned))),
        ])
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;
    use shop_messaging::{Delivery, Failure, Message, PublisherOptions, Subscription};
    use tokio_util::sync::CancellationToken;

    use super::*;

    struct Keeper;

    impl Consumes for Keeper {
        const QUEUE: &'static str = "keeper";
        const OTHER_QUEUES: &'static [&'static str] = &["keeper.late"];
        const BUS_VARIABLE: &'static str = "KEEPER_RABBITMQ_URL";
    }

    #[derive(Parser)]
    struct Cli {
        #[command(subcommand)]
        tool: Tool<Keeper>,
    }

    /// What `keeper dead-letters …` prints, and how it ends.
    async fn tool(url: &str, arguments: &[&str]) -> (String, ExitCode) {
        let line = [&["keeper", "dead-letters"], arguments, &["--rabbitmq-url", url]].concat();
        let mut output = Vec::new();
        let code = Cli::try_parse_from(line).unwrap().tool.print(&mut output).await.unwrap();
        (String::from_utf8(output).unwrap(), code)
    }

    fn message(number: u128) -> Message {
        Message {
            id: Uuid::from_u128(number),
            kind: "thing_changed".to_owned(),
            routing_key: "thing.changed".to_owned(),
            app_id: "tests".to_owned(),
            timestamp: chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
            headers: [("aggregate_id", "a".into()), ("aggregate_version", (number as i64).into())]
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            payload: format!(r#"{{"number":{number}}}"#).into(),
        }
    }

    /// A queue of which `count` messages are dead.
    async fn with_dead_letters(broker: &Broker, queue: &str, count: u128) {
        let subscription = Subscription { ordered: true, ..Subscription::new("events", queue, ["#"]) };
        broker.declare(&subscription).await.unwrap();
        let letters: Vec<_> = (1..=count).map(message).collect();
        let mut publisher = broker.publisher(PublisherOptions::new("events", "tests"));
        publisher.publish(&letters, Duration::from_secs(10)).await.unwrap();
        let stop = CancellationToken::new();
        let refuse = |_: Delivery| async { Err(Failure::reject("all")) };
        let all_are_dead = async {
            while broker.dead_letters(queue, 100).await.unwrap().len() < letters.len() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            stop.cancel();
        };
        tokio::join!(broker.consume(subscription, refuse, stop.clone()), all_are_dead);
    }

    #[tokio::test]
    async fn dead_letters_are_listed_shown_replayed_and_discarded() {
        crate::install_crypto();
        let Some(rabbitmq) = shop_testing::rabbitmq().await else { return };
        let (url, broker) = (rabbitmq.url.as_str(), Broker::open(&rabbitmq.url, None).unwrap());
        with_dead_letters(&broker, Keeper::QUEUE, 4).await;
        let ids = [1, 2, 3, 4].map(|number| Uuid::from_u128(number).to_string());
        let [first, second, third, fourth] = ids.each_ref().map(String::as_str);

        let (listed, _) = tool(url, &["list"]).await;
        insta::assert_snapshot!(listed, @"
        MESSAGE                               EVENT          AGGREGATE  VERSION  OCCURRED              REASON
        00000000-0000-0000-0000-000000000001  thing_changed  a          1        2023-11-14 22:13:20Z  rejected
        00000000-0000-0000-0000-000000000002  thing_changed  a          2        2023-11-14 22:13:20Z  rejected
        00000000-0000-0000-0000-000000000003  thing_changed  a          3        2023-11-14 22:13:20Z  rejected
        00000000-0000-0000-0000-000000000004  thing_changed  a          4        2023-11-14 22:13:20Z  rejected
        ");
        let (shown, _) = tool(url, &["show", second]).await;
        insta::assert_snapshot!(shown, @r#"
        message_id   00000000-0000-0000-0000-000000000002
        event        thing_changed
        routing key  thing.changed
        aggregate    a
        version      2
        occurred     2023-11-14 22:13:20Z
        publisher    tests
        reason       rejected
        headers      {"aggregate_id":"a","aggregate_version":2}
        payload      {"number":2}
        "#);
        let (json, _) = tool(url, &["show", "--json", first]).await;
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["payload"]["number"], 1);

        let (recorded, code) = tool(url, &["discard", first, third]).await;
        assert_eq!((recorded.lines().count(), code), (2, ExitCode::SUCCESS));
        let (nothing, code) = tool(url, &["discard", first]).await;
        assert_eq!((nothing.as_str(), code), ("", ExitCode::FAILURE));
        assert_eq!(tool(url, &["replay", second, third]).await.1, ExitCode::FAILURE, "the third is gone");
        assert!(broker.dead_letter(Keeper::QUEUE, second.parse().unwrap()).await.unwrap().is_none());
        while !broker.dead_letters(Keeper::QUEUE, 1).await.unwrap().is_empty() {
            assert_eq!(tool(url, &["replay", "--all"]).await.1, ExitCode::SUCCESS);
        }
        assert_eq!(tool(url, &["show", fourth]).await.1, ExitCode::FAILURE, "it is back in the queue");
        assert_eq!(tool(url, &["list", "--json"]).await.0, "");
    }

    #[tokio::test]
    async fn the_dead_letters_of_another_queue_are_had_by_its_name() {
        crate::install_crypto();
        let Some(rabbitmq) = shop_testing::rabbitmq().await else { return };
        let (url, broker) = (rabbitmq.url.as_str(), Broker::open(&rabbitmq.url, None).unwrap());
        let idle = Subscription { ordered: true, ..Subscription::new("events", Keeper::QUEUE, ["none"]) };
        broker.declare(&idle).await.unwrap();
        with_dead_letters(&broker, "keeper.late", 1).await;
        assert_eq!(tool(url, &["list"]).await.0, "");
        let (listed, _) = tool(url, &["list", "--queue", "keeper.late"]).await;
        assert!(listed.contains("thing_changed"), "{listed}");
        let (_, code) =
            tool(url, &["discard", "--queue", "keeper.late", &Uuid::from_u128(1).to_string()]).await;
        assert_eq!(code, ExitCode::SUCCESS);
        assert_eq!(tool(url, &["list", "--queue", "keeper.late"]).await.0, "");
    }

    #[test]
    fn only_a_queue_of_the_service_can_be_named() {
        let named = |queue| {
            Cli::try_parse_from([
                "keeper",
                "dead-letters",
                "list",
                "--queue",
                queue,
                "--rabbitmq-url",
                "amqp://a",
            ])
        };
        assert!(named("keeper").is_ok() && named("keeper.late").is_ok() && named("payment").is_err());
    }
}
