//! The events that the services exchange, held against docs/events: what is sent, by whom, and who has a handler for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::{Duration, Instant},
};

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use lapin::{message::BasicGetMessage, types::AMQPValue};
use serde_json::{Map, Value, json};
use shop_testing::bot_api::{BotApi, TOKEN};

use crate::support::{Real, Shop, Tap, admin_token, http, outbox::until};

/// docs/events/asyncapi.json.
struct Documentation {
    document: Value,
    schemas: Schemas,
    /// Of each event: the schemas of its headers and of its payload.
    events: BTreeMap<String, [SchemaIndex; 2]>,
}

impl Documentation {
    fn read() -> Self {
        const PLACE: &str = "https://shop.invalid/asyncapi.json";
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/events/asyncapi.json");
        let document: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.set_default_draft(Draft::V7);
        compiler.enable_format_assertions();
        compiler.add_resource(PLACE, document.clone()).unwrap();
        let mut schema = |event: &str, part: &str| {
            let place = format!("{PLACE}#/components/messages/{event}/{part}");
            compiler.compile(&place, &mut schemas).unwrap()
        };
        let names = document["components"]["messages"].as_object().unwrap().keys();
        let events = names
            .map(|event| (event.clone(), [schema(event, "headers"), schema(event, "payload")]))
            .collect();
        Self { document, schemas, events }
    }

    /// Fails if a message is not as it is described.
    fn check(&self, message: &BasicGetMessage) {
        let event = kind(message);
        let payload: Value = serde_json::from_slice(&message.delivery.data).unwrap();
        let [of_headers, of_payload] =
            self.events.get(&event).unwrap_or_else(|| panic!("{event} is not documented"));
        for (value, schema) in [(&headers(message), of_headers), (&payload, of_payload)] {
            let checked = self.schemas.validate(value, *schema);
            assert!(checked.is_ok(), "{event}: {}\n{value:#}", checked.unwrap_err());
        }
    }

    /// `(event, service)` of each that is sent, or `(event, queue)` of each that is received.
    fn operations(&self, action: &str) -> BTreeSet<(String, String)> {
        let operations = self.document["operations"].as_object().unwrap().values();
        let operations = operations.filter(|operation| operation["action"] == action);
        let last =
            |reference: &Value| reference["$ref"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        let pairs = operations.flat_map(|operation| {
            let who = match action {
                "send" => operation["tags"][0]["name"].clone(),
                _ => self.document["channels"][last(&operation["channel"])]["address"].clone(),
            };
            let who = who.as_str().unwrap().to_owned();
            let messages = operation["messages"].as_array().unwrap();
            messages.iter().map(move |message| (last(message), who.clone())).collect::<Vec<_>>()
        });
        pairs.collect()
    }
}

fn kind(message: &BasicGetMessage) -> String {
    message.delivery.properties.kind().as_ref().unwrap().to_string()
}

fn headers(message: &BasicGetMessage) -> Value {
    let headers = message.delivery.properties.headers().as_ref().unwrap().inner();
    let read = headers.iter().map(|(name, value)| {
        let value = match value {
            AMQPValue::LongString(text) => json!(text.to_string()),
            AMQPValue::LongLongInt(number) => json!(number),
            other => panic!("{name}: {other:?}"),
        };
        (name.to_string(), value)
    });
    Value::Object(read.collect::<Map<_, _>>())
}

/// Everything that arrives until there is an event of each of these types.
async fn until_all(tap: &Tap, types: &BTreeSet<String>) -> Vec<BasicGetMessage> {
    let deadline = Instant::now() + Duration::from_secs(90);
    let mut taken: Vec<BasicGetMessage> = Vec::new();
    loop {
        let seen: BTreeSet<String> = taken.iter().map(kind).collect();
        let missing: Vec<&String> = types.difference(&seen).collect();
        if missing.is_empty() {
            return taken;
        }
        assert!(Instant::now() < deadline, "nobody sent {missing:?}");
        taken.extend(tap.take(1).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_and_who_receives_is_as_documented() {
    let Some(real) = Real::take().await else { return };
    let api = BotApi::start();
    let (url, documentation) = (api.url(), Documentation::read());
    let tap = Tap::bind(&real.rabbitmq.url, "#").await;
    let environment = [("TELEGRAM_BOT_TOKEN", TOKEN), ("TELEGRAM_API_URL", url.as_str())];
    let mut shop = Shop::whole(&real.backends(), &environment).await;

    let manager = Manager::of(&shop).await;
    let plain = manager.product(10.00, 100).await;
    // The simulated provider declines amounts that end so.
    let declined = manager.product(10.01, 100).await;
    let last_piece = manager.product(10.00, 1).await;
    // While no publisher runs, nothing is reserved: both buyers of the last piece are told that there is one.
    let mut orders = Vec::new();
    for product in [&plain, &plain, &declined, &last_piece, &last_piece] {
        let items = json!([{ "product_id": product, "quantity": 1 }]);
        orders.push(shop.place(&json!({ "customer_email": "buyer@example.com", "items": items })).await);
    }
    shop.publish().await;
    let [delivered, refunded, ..] = &orders[..] else { unreachable!("five were placed") };
    until_confirmed(&shop, delivered).await;
    manager.post(&format!("/orders/{delivered}/ship"), &json!({ "tracking_number": "RU123456789" })).await;
    manager.post(&format!("/orders/{delivered}/deliver"), &json!({})).await;
    until_confirmed(&shop, refunded).await;
    shop.cancel_order(refunded).await;

    let events: BTreeSet<String> = documentation.events.keys().cloned().collect();
    let messages = until_all(&tap, &events).await;
    let mut seen = BTreeMap::new();
    for message in &messages {
        documentation.check(message);
        let properties = &message.delivery.properties;
        let text = |text: &Option<lapin::types::ShortString>| text.as_ref().unwrap().to_string();
        let (headers, kind) = (headers(message), kind(message));
        assert_eq!(message.delivery.routing_key.to_string(), kind.replace('_', "."));
        assert_eq!(headers["ce-type"], kind);
        assert_eq!(headers["ce-id"], text(properties.message_id()), "one event has one id");
        assert_eq!(headers["ce-source"], format!("/{}", text(properties.app_id())));
        assert_eq!(headers["ce-subject"], headers["aggregate_id"]);
        assert_eq!(text(properties.content_type()), "application/json");
        // A repetition has the same id, and nothing else has.
        let id = (headers["ce-source"].to_string(), headers["ce-id"].to_string());
        let first = seen.entry(id).or_insert(&message.delivery.data);
        assert_eq!(*first, &message.delivery.data, "{kind}");
    }
    let sent: BTreeSet<(String, String)> = messages
        .iter()
        .map(|message| (kind(message), message.delivery.properties.app_id().as_ref().unwrap().to_string()))
        .collect();
    assert_eq!(sent, documentation.operations("send"));

    let mut received = BTreeSet::new();
    for process in &shop.processes {
        received.extend(handlers(&process.metrics().await));
    }
    assert_eq!(received, documentation.operations("receive"));
}

/// The shop's administrator.
struct Manager {
    token: String,
    catalog: String,
    order: String,
}

impl Manager {
    async fn of(shop: &Shop) -> Self {
        let (catalog, order) = (shop.catalog.clone(), shop.order.clone());
        Self { token: admin_token(shop).await, catalog, order }
    }

    /// Adds a product, and returns its id.
    async fn product(&self, price: f64, stock: u32) -> Value {
        let product = json!({ "name": "Product", "price": price, "category": "desk", "stock": stock });
        self.send(format!("{}/products", self.catalog), &product).await["id"].clone()
    }

    /// Posts to the order service.
    async fn post(&self, path: &str, body: &Value) {
        self.send(format!("{}{path}", self.order), body).await;
    }

    async fn send(&self, url: String, body: &Value) -> Value {
        let answer = http().post(&url).bearer_auth(&self.token).json(body).send().await.unwrap();
        assert!(answer.status().is_success(), "{url}: {}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }
}

async fn until_confirmed(shop: &Shop, order: &str) {
    until("the order is confirmed", async || {
        shop.order(order).await.is_some_and(|order| order["status"] == "confirmed")
    })
    .await;
}

/// `(event, queue)` of each handler: a consumer counts what it is going to handle from its start on.
fn handlers(metrics: &str) -> Vec<(String, String)> {
    let label = |line: &str, name: &str| {
        let (_, rest) = line.split_once(&format!("{name}=\"")).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let counters = metrics.lines().filter(|line| line.starts_with("consumer_handled_total{"));
    counters.map(|line| (label(line, "event_type"), label(line, "queue"))).collect()
}
