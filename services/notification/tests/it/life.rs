//! What customers are told in the life of an order.

use shop_core::{
    Currency, PaymentId,
    events::{CancellationCode, OrderCancelled, OrderDelivered, OrderShipped, PaymentRefunded},
};
use shop_messaging::Message;
use shop_runtime::seal::Envelope;
use shop_testing::mail_sink::MailSink;
use uuid::Uuid;

use crate::harness::{LINK_SECRET, Order, Place, everywhere, mails, money, subject, text, until};

everywhere! {
    an_orders_life_is_told_once_and_in_order,
    a_guests_mail_has_the_link_with_the_token,
    a_cancelled_order_says_what_happens_with_the_money,
    an_order_that_began_before_the_service_is_told_about_at_the_events_address,
    what_cannot_be_read_is_set_aside_and_the_rest_goes_on,
}

fn shipped(order: &Order) -> Message {
    order.event(&OrderShipped {
        order_id: order.id,
        customer_email: order.email.clone(),
        tracking_number: Some("RA123456789RU".to_owned()),
    })
}

fn delivered(order: &Order) -> Message {
    order.event(&OrderDelivered { order_id: order.id, customer_email: order.email.clone() })
}

fn cancelled(order: &Order, code: CancellationCode) -> Message {
    order.event(&OrderCancelled {
        order_id: order.id,
        customer_email: order.email.clone(),
        total_amount: money(250_000),
        reason: "whatever programs say".to_owned(),
        code,
        currency: Currency::RUB,
    })
}

fn refunded(order: &Order) -> Message {
    order.event(&PaymentRefunded {
        order_id: order.id,
        payment_id: PaymentId(Uuid::nil()),
        customer_email: order.email.clone(),
        amount: money(250_000),
        currency: Currency::RUB,
    })
}

async fn an_orders_life_is_told_once_and_in_order(place: Place) {
    let sink = MailSink::start();
    let service = place.start_with(&sink).await;
    let orders = ["a@example.com", "b@example.com", "c@example.com"].map(Order::of);
    let lives =
        orders.each_ref().map(|order| [order.created(), order.confirmed(), shipped(order), delivered(order)]);
    for step in 0..4 {
        let messages: Vec<_> = lives.iter().map(|life| life[step].clone()).collect();
        // A publisher that lost the broker's confirm sends everything again.
        place.publish(&messages).await;
        place.publish(&messages).await;
    }
    mails(&sink, 12).await;
    for event_type in ["order_created", "order_confirmed", "order_shipped", "order_delivered"] {
        let labels = format!(r#"{{queue="notification",event_type="{event_type}"}}"#);
        service.counted(&format!("consumer_duplicates_total{labels} 3")).await;
        let labels = format!(r#"{{channel="email",event_type="{event_type}",outcome="sent"}}"#);
        service.counted(&format!("notifications_total{labels} 3")).await;
    }
    let sent = sink.mails();
    assert_eq!(sent.len(), 12, "each once");
    for order in &orders {
        let number = order.id.number();
        let subjects: Vec<_> =
            sent.iter().filter(|mail| mail.to == order.email.as_str()).map(subject).collect();
        let told = ["received", "confirmed", "shipped", "delivered"];
        assert_eq!(subjects, told.map(|word| format!("Order {number} {word}")));
    }
    let received = sent.iter().find(|mail| mail.to == "a@example.com").unwrap();
    let message_id = format!("<{}@example.com>", lives[0][0].id);
    assert_eq!(received.header("Message-ID"), Some(message_id));
    let page = format!("https://shop.example/orders/{}", orders[0].id);
    let words = text(received);
    assert!(words.contains("2 × Lantern: RUB\u{a0}2,500.00") && words.contains(&page), "{words}");
    assert!(place.dead_letters("notification").await.is_empty());
    let readiness = service.health.readiness().await;
    assert_eq!(readiness.status, "ok", "{readiness:?}");
    assert_eq!(readiness.dependencies["consumer notification"], "ok");
}

async fn a_guests_mail_has_the_link_with_the_token(place: Place) {
    let sink = MailSink::start();
    let _service = place.start_with(&sink).await;
    let order = Order::of("guest@example.com");
    let envelope = Envelope::new("order token", LINK_SECRET.as_bytes()).unwrap();
    let sealed = envelope.seal(b"the-guests-own-token", order.id.to_string().as_bytes()).unwrap();
    let placed = shop_core::events::OrderCreated { sealed_token: Some(sealed), ..order.placed() };
    place.publish(&[order.event(&placed), order.confirmed()]).await;
    for mail in mails(&sink, 2).await {
        let link = format!("https://shop.example/orders/{}?token=the-guests-own-token", order.id);
        assert!(text(&mail).contains(&link), "{}", text(&mail));
    }
}

async fn a_cancelled_order_says_what_happens_with_the_money(place: Place) {
    let sink = MailSink::start();
    let _service = place.start_with(&sink).await;
    let paid = Order::of("paid@example.com");
    let out_of_stock = cancelled(&paid, CancellationCode::OutOfStock);
    place.publish(&[paid.created(), paid.confirmed(), out_of_stock, refunded(&paid)]).await;
    let declined = Order::of("declined@example.com");
    let payment_declined = cancelled(&declined, CancellationCode::PaymentDeclined);
    place.publish(&[declined.created(), payment_declined]).await;

    let sent = mails(&sink, 6).await;
    let of =
        |address: &str| -> Vec<String> { sent.iter().filter(|mail| mail.to == address).map(text).collect() };
    let paid = of("paid@example.com");
    assert!(paid[2].contains("there is not enough in stock"), "{}", paid[2]);
    assert!(paid[2].contains("You have paid RUB\u{a0}2,500.00."), "{}", paid[2]);
    assert!(paid[3].contains("We have returned RUB\u{a0}2,500.00"), "{}", paid[3]);
    let declined = of("declined@example.com");
    assert!(declined[1].contains("the payment was declined"), "{}", declined[1]);
    assert!(declined[1].contains("You have not been charged."), "{}", declined[1]);
    assert!(!sent.iter().any(|mail| text(mail).contains("whatever programs say")));
}

async fn an_order_that_began_before_the_service_is_told_about_at_the_events_address(place: Place) {
    let sink = MailSink::start();
    let _service = place.start_with(&sink).await;
    let order = Order::of("old@почта.рф");
    place.publish(&[shipped(&order)]).await;
    let mail = mails(&sink, 1).await.remove(0);
    assert_eq!(mail.to, "old@xn--80a1acny.xn--p1ai");
    assert_eq!(subject(&mail), format!("Заказ {} отправлен", order.id.number()));
    assert!(!text(&mail).contains("https://"), "nobody knows whether the customer could open the page");
}

async fn what_cannot_be_read_is_set_aside_and_the_rest_goes_on(place: Place) {
    let sink = MailSink::start();
    let service = place.start_with(&sink).await;
    let order = Order::of("a@example.com");
    let mut unreadable = order.confirmed();
    unreadable.payload = "{}".into();
    place.publish(std::slice::from_ref(&unreadable)).await;
    assert_eq!(place.dead_letter("notification").await.message.id, unreadable.id);
    place.publish(&[order.created()]).await;
    assert_eq!(mails(&sink, 1).await.len(), 1);
    until(async || (service.told().await.len() == 1).then_some(())).await;
}
