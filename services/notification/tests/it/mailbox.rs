//! Mails in a folder, and the pages to read them.

use notification::Config;
use reqwest::{Method, Response};
use shop_testing::mail_sink::MailSink;

use crate::harness::{Order, Place, Service, until};

async fn page(service: &Service, path: &str) -> (u16, Option<String>, String) {
    let response: Response = service.request(Method::GET, path).send().await.unwrap();
    let policy = response.headers().get("content-security-policy");
    let policy = policy.map(|policy| policy.to_str().unwrap().to_owned());
    (response.status().as_u16(), policy, response.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_in_a_folder_are_read_on_a_page() {
    let place = Place::embedded();
    let folder = tempfile::tempdir().unwrap();
    let address = format!("folder:{}", folder.path().join("mails").display());
    let service = place.start(Config { mailbox: true, ..place.config(&address) }).await;
    let (_, _, empty) = page(&service, "/mailbox").await;
    assert!(empty.contains("There are no mails here."), "{empty}");

    let order = Order::of("a@example.com");
    let mut placed = order.placed();
    placed.items[0].name = "<script>alert(1)</script>".to_owned();
    let created = order.event(&placed);
    place.publish(std::slice::from_ref(&created)).await;
    until(async || (service.told().await.len() == 1).then_some(())).await;
    let (status, policy, list) = page(&service, "/mailbox").await;
    assert_eq!(status, 200);
    assert!(policy.unwrap().starts_with("default-src 'none'"));
    let link = format!("/mailbox/{}", created.id);
    assert!(
        list.contains(&link) && list.contains(&format!("Order {} received", order.id.number())),
        "{list}"
    );

    let (_, _, mail) = page(&service, &link).await;
    assert!(
        mail.contains("sandbox=") && mail.contains("a@example.com") && !mail.contains("<script"),
        "{mail}"
    );
    let (_, policy, html) = page(&service, &format!("{link}/html")).await;
    assert!(policy.unwrap().starts_with("sandbox allow-popups"), "a document of nobody");
    assert!(html.contains("&#60;script&#62;"), "{html}");

    let (status, ..) = page(&service, &format!("/mailbox/{}", uuid::Uuid::nil())).await;
    assert_eq!(status, 404);
    for name in ["..", "%2e%2e%2fnotifications.db", "notes", "..%2F..%2Fetc%2Fpasswd", "%00"] {
        let (status, ..) = page(&service, &format!("/mailbox/{name}/html")).await;
        assert!(matches!(status, 400 | 404), "{name}: {status}");
    }
    let files: Vec<_> = std::fs::read_dir(folder.path().join("mails")).unwrap().collect();
    assert_eq!(files.len(), 1, "nothing unfinished is left: {files:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_no_mailbox_unless_it_is_asked_for() {
    let place = Place::embedded();
    let folder = tempfile::tempdir().unwrap();
    let service = place.start(place.config(&format!("folder:{}", folder.path().display()))).await;
    assert_eq!(page(&service, "/mailbox").await.0, 404);
    let sink = MailSink::start();
    assert_eq!(page(&Place::embedded().start_with(&sink).await, "/mailbox").await.0, 404);
}
