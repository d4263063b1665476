//! Mail servers that refuse, are slow or away, and services that die.

use std::time::Duration;

use notification::Config;
use shop_testing::mail_sink::{MailSink, Rule, Security, Step, TestCertificate};

use crate::harness::{Order, Place, everywhere, mails, subject, until, url};

everywhere! {
    a_mail_that_is_refused_for_now_is_sent_later_and_once,
    a_mail_that_is_refused_for_good_is_a_dead_letter_at_once_and_can_be_replayed,
    mails_wait_while_their_server_is_away,
    a_mail_that_was_sent_before_a_crash_is_sent_again_with_the_same_message_id,
}

async fn a_mail_that_is_refused_for_now_is_sent_later_and_once(place: Place) {
    let sink = MailSink::start();
    sink.add(Rule::refuse(Step::Recipient, "451 4.7.1 Greylisted").of("a@example.com").times(2));
    sink.add(Rule::refuse(Step::Taken, "452 4.3.1 No room").of("a@example.com").times(1));
    let service = place.start_with(&sink).await;
    let (patient, other) = (Order::of("a@example.com"), Order::of("b@example.com"));
    place.publish(&[patient.created(), patient.confirmed(), other.created()]).await;
    let sent = mails(&sink, 3).await;
    let subjects: Vec<_> = sent.iter().filter(|mail| mail.to == "a@example.com").map(subject).collect();
    let number = patient.id.number();
    assert_eq!(subjects, [format!("Order {number} received"), format!("Order {number} confirmed")]);
    service.counted(r#"notifications_failed_total{channel="email",event_type="order_created"} 3"#).await;
    until(async || (service.told().await.len() == 3).then_some(())).await;
    assert_eq!(sink.mails().len(), 3);
}

async fn a_mail_that_is_refused_for_good_is_a_dead_letter_at_once_and_can_be_replayed(place: Place) {
    let sink = MailSink::start();
    sink.add(Rule::refuse(Step::Recipient, "550 5.1.1 No such user").of("gone@example.com").times(1));
    let service = place.start_with(&sink).await;
    let (gone, other) = (Order::of("gone@example.com"), Order::of("b@example.com"));
    let created = gone.created();
    place.publish(&[created.clone(), other.created()]).await;
    assert_eq!(place.dead_letter("notification").await.message.id, created.id);
    assert_eq!(mails(&sink, 1).await[0].to, "b@example.com");
    assert_eq!(sink.attempts("gone@example.com"), 1, "it was not tried again");
    until(async || (service.told().await.len() == 1).then_some(())).await;

    // The mailbox was opened since.
    place.replay("notification").await;
    assert_eq!(mails(&sink, 2).await[1].to, "gone@example.com");
    assert!(place.dead_letters("notification").await.is_empty());
}

async fn mails_wait_while_their_server_is_away(place: Place) {
    let mut sink = MailSink::start();
    sink.go_away();
    let service = place.start_with(&sink).await;
    let order = Order::of("a@example.com");
    place.publish(&[order.created(), order.confirmed()]).await;
    service.counted(r#"consumer_retried_total{queue="notification",event_type="order_created"} 3"#).await;
    let readiness = service.health.readiness().await;
    assert_eq!((readiness.status, readiness.dependencies["mail"]), ("degraded", "unavailable"));
    assert!(readiness.is_ready());
    sink.come_back();
    let sent = mails(&sink, 2).await;
    let number = order.id.number();
    assert_eq!(subject(&sent[0]), format!("Order {number} received"));
    assert_eq!(subject(&sent[1]), format!("Order {number} confirmed"));
    assert!(place.dead_letters("notification").await.is_empty());
}

async fn a_mail_that_was_sent_before_a_crash_is_sent_again_with_the_same_message_id(place: Place) {
    let sink = MailSink::start();
    // The server has the mail, and the service does not know it yet.
    sink.add(Rule::delay(Step::Taken, Duration::from_secs(10)).times(1));
    let service = place.start_with(&sink).await;
    let order = Order::of("a@example.com");
    place.publish(&[order.created(), order.confirmed()]).await;
    mails(&sink, 1).await;
    service.kill();

    let service = place.start_with(&sink).await;
    let sent = mails(&sink, 3).await;
    until(async || (service.told().await.len() == 2).then_some(())).await;
    let ids: Vec<_> = sent.iter().map(|mail| mail.header("Message-ID").unwrap()).collect();
    assert_eq!(ids[0], ids[1], "the same mail, recognisable");
    assert_ne!(ids[1], ids[2]);
    assert_eq!(sink.mails().len(), 3);
}

/// On SQLite there is one connection to the database, which waits with the mail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_slow_for_one_customer_does_not_hold_up_the_others() {
    let Some(place) = Place::real().await else { return };
    let sink = MailSink::start();
    sink.add(Rule::delay(Step::Recipient, Duration::from_secs(10)).of("slow@example.com"));
    let service = place.start_with(&sink).await;
    let slow = Order::of("slow@example.com");
    place.publish(&[slow.created()]).await;
    until(async || (sink.attempts("slow@example.com") == 1).then_some(())).await;
    let others: Vec<_> = (0..20).map(|number| Order::of(&format!("{number}@example.com"))).collect();
    let created: Vec<_> = others.iter().map(|order| order.created()).collect();
    place.publish(&created).await;
    let sent = mails(&sink, 20).await;
    assert!(sent.iter().all(|mail| mail.to != "slow@example.com"));
    let (status, _, _) = service.get("/notifications").await;
    assert_eq!(status, 200, "requests are answered meanwhile");
    assert_eq!(mails(&sink, 21).await[20].to, "slow@example.com");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_are_encrypted_where_the_address_says_so() {
    let place = Place::embedded();
    let certificate = TestCertificate::of("localhost");
    let sink = MailSink::protected(Security::StartTls(certificate.clone()));
    sink.require_login("shop", "s3cret");
    let address = format!("smtp://shop:s3cret@localhost:{}?ca={}", sink.port(), certificate.path().display());
    let _service = place.start(place.config(&address)).await;
    place.publish(&[Order::of("a@example.com").created()]).await;
    let mail = mails(&sink, 1).await.remove(0);
    assert!(mail.encrypted);
    assert_eq!(mail.user.as_deref(), Some("shop"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_without_a_folder_is_refused() {
    let place = Place::embedded();
    let sink = MailSink::start();
    let config = Config { mailbox: true, ..place.config(&url(&sink)) };
    let scope = shop_runtime::Scope::new("notification_service", &shop_runtime::Lifecycle::new());
    let error =
        <notification::Notification as shop_runtime::Service>::start(config, scope).await.unwrap_err();
    assert_eq!(error.to_string(), "NOTIFICATION_MAILBOX=true needs NOTIFICATION_MAIL_URL=folder:<path>");
}
