//! One order is one trace.

mod tree;
mod waterfall;

use std::{collections::BTreeMap, time::Duration};

use lapin::types::AMQPValue;
use shop_testing::otlp::{Collector, Span};

use crate::support::{Real, Shop, Tap, Visitor, http};

/// The way of an order that is paid for at once, from the click to the mail that says so: each span is the parent of the next. It leads
/// through the outboxes of three services, one of them twice.
const LIFE: [&str; 17] = [
    "web_app: POST /order",
    "web_app: POST /orders",
    "order_service: POST /orders",
    "order_service: append order.created",
    "outbox_publisher: publish order.created",
    "catalog_service: process order.created",
    "catalog_service: append stock.reserved",
    "outbox_publisher: publish stock.reserved",
    "payment_service: process stock.reserved",
    "payment_service: charge",
    "payment_service: append payment.processed",
    "outbox_publisher: publish payment.processed",
    "order_service: process payment.processed",
    "order_service: append order.confirmed",
    "outbox_publisher: publish order.confirmed",
    "notification_service: process order.confirmed",
    "notification_service: send mail",
];

/// How long an order may take until its mail is sent and all spans are here, on a machine with other work.
const PATIENCE: Duration = Duration::from_secs(60);

fn otlp(collector: &Collector) -> [(&str, &str); 2] {
    // The batch processor's delay: the default of five seconds would only make the tests wait.
    [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "200")]
}

/// Registers, and orders one piece of the first product in the storefront.
async fn buy(web: &str) {
    let mut visitor = Visitor::new(web);
    let page = visitor.get("/register").await;
    let account = [("email", "traced@example.com"), ("password", "password123")];
    visitor.submit(&page, "/register", &account).await;
    let page = visitor.get("/catalog").await;
    visitor.submit(&page, "/cart/add", &[("product_id", "1")]).await;
    let page = visitor.get("/cart").await;
    visitor.submit(&page, "/order", &[]).await;
}

/// The span of the mail that says that the order is confirmed.
fn last(spans: &[Span]) -> Option<&Span> {
    let is_last = |span: &&Span| {
        span.name == "send mail"
            && tree::parent(spans, span).is_some_and(|parent| parent.name == "process order.confirmed")
    };
    spans.iter().find(is_last)
}

/// All spans, once the mail's is among them and nothing is missing above any of its trace.
async fn until_the_mail(collector: &Collector) -> Vec<Span> {
    let is_here = |spans: &[Span]| last(spans).is_some_and(|mail| tree::is_whole(spans, &mail.trace_id));
    collector.wait_for(PATIENCE, is_here).await
}

#[tokio::test]
async fn from_the_click_to_the_mail_one_order_is_one_trace() {
    let Some(real) = Real::take().await else { return };
    let collector = Collector::start().await;
    let tap = Tap::bind(&real.rabbitmq.url, "order.created").await;
    let mut shop = Shop::whole(&real.backends(), &otlp(&collector)).await;
    shop.publish().await;
    buy(&shop.web).await;

    let handled = [
        ("catalog_service: process order.created", 1),
        ("catalog_service: process order.confirmed", 1),
        ("notification_service: process order.created", 1),
        ("notification_service: process order.confirmed", 1),
        ("order_service: process payment.processed", 1),
        ("order_service: process stock.reserved", 1),
        ("payment_service: process stock.reserved", 1),
    ];
    // The mail may be sent before the catalog has handled the last event.
    let all_are_here = |spans: &[Span]| {
        let handlings = spans.iter().filter(|span| span.name.starts_with("process ")).count();
        handlings >= handled.len() && last(spans).is_some_and(|mail| tree::is_whole(spans, &mail.trace_id))
    };
    let spans = collector.wait_for(PATIENCE, all_are_here).await;
    let mail = last(&spans).unwrap();
    assert_eq!(tree::way_to(&spans, mail, tree::parent), LIFE);
    let trace = tree::trace(&spans, &mail.trace_id);
    waterfall::picture(&trace, "one-order");
    let roots = trace.iter().filter(|span| span.parent_span_id.is_none()).count();
    assert_eq!(roots, 1, "nothing of the trace hangs elsewhere");
    let handled = handled.map(|(title, times)| (title.to_owned(), times));
    assert_eq!(tree::count(trace.iter().copied(), "process "), BTreeMap::from(handled));

    let published = trace.iter().find(|span| span.name == "publish order.created").unwrap();
    let message = tap.take(1).await.remove(0).delivery;
    let Some(AMQPValue::LongString(traceparent)) =
        message.properties.headers().as_ref().and_then(|headers| headers.inner().get("traceparent").cloned())
    else {
        panic!("no traceparent")
    };
    assert_eq!(traceparent.to_string(), format!("00-{}-{}-01", published.trace_id, published.span_id));
}

/// Each publisher is killed as soon as its event is on its way, and none runs while the next event is appended.
#[tokio::test]
async fn it_is_one_trace_also_when_every_publisher_is_killed_in_between() {
    let Some(real) = Real::take().await else { return };
    let collector = Collector::start().await;
    let mut shop = Shop::whole(&real.backends(), &otlp(&collector)).await;
    buy(&shop.web).await;
    for (publisher, event, next) in [
        ("order-publisher", "order.created", "append stock.reserved"),
        ("catalog-publisher", "stock.reserved", "append payment.processed"),
        ("payment-publisher", "payment.processed", "append order.confirmed"),
        ("order-publisher", "order.confirmed", "send mail"),
    ] {
        shop.start(publisher).await;
        let published = format!("publish {event}");
        let has = |spans: &[Span], name: &str| spans.iter().any(|span| span.name == name);
        collector.wait_for(PATIENCE, |spans| has(spans, &published)).await;
        shop.processes.pop().unwrap().kill9();
        collector.wait_for(PATIENCE, |spans| has(spans, next)).await;
    }
    let spans = until_the_mail(&collector).await;
    let mail = last(&spans).unwrap();
    assert_eq!(tree::way_to(&spans, mail, tree::parent), LIFE);
}

#[tokio::test]
async fn with_links_only_every_handling_is_a_trace_that_names_the_one_before() {
    let Some(real) = Real::take().await else { return };
    let collector = Collector::start().await;
    let [endpoint, delay] = otlp(&collector);
    let mut shop = Shop::whole(&real.backends(), &[endpoint, delay, ("CONSUMER_TRACE", "link")]).await;
    shop.publish().await;
    buy(&shop.web).await;

    let way = |spans: &[Span]| last(spans).map(|mail| tree::way_to(spans, mail, tree::before));
    let is_whole = |spans: &[Span]| way(spans).is_some_and(|way| way.len() >= LIFE.len());
    let spans = collector.wait_for(PATIENCE, is_whole).await;
    assert_eq!(way(&spans).unwrap(), LIFE);
    let handlings: Vec<&Span> = spans.iter().filter(|span| span.name.starts_with("process ")).collect();
    assert!(
        handlings.iter().all(|span| span.parent_span_id.is_none() && span.links.len() == 1),
        "{handlings:#?}"
    );
    assert_eq!(tree::traces(handlings.iter().copied()).len(), handlings.len());
}

#[tokio::test]
async fn in_one_process_an_order_is_one_trace_too_and_a_stranger_chooses_none() {
    let collector = Collector::start().await;
    let shop = Shop::embedded(&otlp(&collector)).await;
    buy(&shop.web).await;
    let spans = until_the_mail(&collector).await;
    let names = |way: &[String]| -> Vec<String> {
        way.iter().map(|title| title.split_once(": ").unwrap().1.to_owned()).collect()
    };
    let way = tree::way_to(&spans, last(&spans).unwrap(), tree::parent);
    assert_eq!(names(&way), names(&LIFE.map(str::to_owned)));

    let strangers = "0af7651916cd43dd8448eb211c80319c";
    for base in [&shop.auth, &shop.catalog, &shop.order, &shop.web] {
        let request = http().get(format!("{base}/nothing")).header("accept", "application/json");
        let answer =
            request.header("traceparent", format!("00-{strangers}-b7ad6b7169203331-00")).send().await;
        let problem: serde_json::Value = answer.unwrap().json().await.unwrap();
        let trace = problem["trace_id"].as_str().expect("a trace").to_owned();
        assert_ne!(trace, strangers);
        let is_recorded = |spans: &[Span]| spans.iter().any(|span| span.trace_id == trace);
        let spans = collector.wait_for(Duration::from_secs(10), is_recorded).await;
        assert!(is_recorded(&spans), "{base}");
    }
}

#[tokio::test]
async fn a_collector_that_cannot_be_reached_slows_nothing() {
    let shop = Shop::embedded(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")]).await;
    let began = std::time::Instant::now();
    for n in 0..10 {
        shop.place_order(&format!("buyer{n}@example.com")).await;
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}
