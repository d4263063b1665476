//! One order is one trace.

use std::time::Duration;

use lapin::types::AMQPValue;
use shop_testing::otlp::{Collector, Span};

use crate::support::{Real, Shop, Tap, Visitor, http};

#[tokio::test]
async fn from_the_click_to_the_message_one_order_is_one_trace() {
    let Some(real) = Real::take().await else { return };
    let collector = Collector::start().await;
    let tap = Tap::bind(&real.rabbitmq.url, "order.created").await;
    let otlp = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()),
        // The batch processor's delay: the default of five seconds would only make the test wait.
        ("OTEL_BSP_SCHEDULE_DELAY", "200"),
    ];
    let shop = Shop::real(&real.backends(), &otlp).await;
    let _publisher = shop.publisher().await;

    let mut visitor = Visitor::new(&shop.web);
    let page = visitor.get("/register").await;
    let account = [("email", "traced@example.com"), ("password", "password123")];
    visitor.submit(&page, "/register", &account).await;
    let page = visitor.get("/catalog").await;
    visitor.submit(&page, "/cart/add", &[("product_id", "1")]).await;
    let page = visitor.get("/cart").await;
    visitor.submit(&page, "/order", &[]).await;

    let is = |service: &'static str, name: &'static str| {
        move |span: &&Span| span.service == service && span.name == name
    };
    let wanted = [
        ("web_app", "POST /order"),
        ("order_service", "POST /orders"),
        ("order_service", "append order.created"),
        ("outbox_publisher", "publish order.created"),
    ];
    let spans = collector
        .wait_for(Duration::from_secs(30), |spans| {
            wanted.iter().all(|(service, name)| spans.iter().any(|span| is(service, name)(&span)))
        })
        .await;
    let found: Vec<_> = wanted.iter().map(|(service, name)| spans.iter().find(is(service, name))).collect();
    assert!(found.iter().all(Option::is_some), "{found:#?}\n{spans:#?}");
    let found: Vec<_> = found.into_iter().flatten().collect();
    assert!(found.iter().all(|span| span.trace_id == found[0].trace_id), "{found:#?}");
    // Each is a descendant of the previous one.
    for pair in found.windows(2) {
        let mut parent = pair[1].parent_span_id.clone();
        while let Some(id) = &parent
            && *id != pair[0].span_id
        {
            parent =
                spans.iter().find(|span| span.span_id == *id).and_then(|span| span.parent_span_id.clone());
        }
        assert!(parent.is_some(), "{} is not below {}", pair[1].name, pair[0].name);
    }

    let message = tap.take(1).await.remove(0).delivery;
    let Some(AMQPValue::LongString(traceparent)) =
        message.properties.headers().as_ref().and_then(|headers| headers.inner().get("traceparent").cloned())
    else {
        panic!("no traceparent")
    };
    assert_eq!(traceparent.to_string(), format!("00-{}-{}-01", found[3].trace_id, found[3].span_id));
}

#[tokio::test]
async fn in_one_process_an_order_is_one_trace_too_and_a_stranger_chooses_none() {
    let collector = Collector::start().await;
    let otlp =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "200")];
    let shop = Shop::embedded(&otlp).await;
    let mut visitor = Visitor::new(&shop.web);
    let page = visitor.get("/register").await;
    let account = [("email", "traced@example.com"), ("password", "password123")];
    visitor.submit(&page, "/register", &account).await;
    let page = visitor.get("/catalog").await;
    visitor.submit(&page, "/cart/add", &[("product_id", "1")]).await;
    let page = visitor.get("/cart").await;
    visitor.submit(&page, "/order", &[]).await;
    let wanted = ["POST /order", "POST /orders", "append order.created", "publish order.created"];
    let spans = collector
        .wait_for(Duration::from_secs(30), |spans| {
            wanted.iter().all(|name| spans.iter().any(|span| span.name == *name))
        })
        .await;
    let traces: Vec<_> = wanted
        .iter()
        .map(|name| spans.iter().find(|span| span.name == *name).map(|span| &span.trace_id))
        .collect();
    assert!(traces[0].is_some() && traces.iter().all(|trace| *trace == traces[0]), "{spans:#?}");

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
