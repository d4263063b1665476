//! Against a mail server.

use shop_testing::mail_sink::{MailSink, Rule, Security, Step, TestCertificate};

use super::*;
use crate::mail::{MailUrl, Post};

const SOON: Duration = Duration::from_millis(300);

fn server(url: &str) -> Server {
    let Post::Server(mut server) =
        Post::open(&url.parse::<MailUrl>().unwrap(), &"shop@example.com".parse().unwrap()).unwrap()
    else {
        panic!("{url} is no server")
    };
    server.patience = Patience { turn: SOON, connect: Duration::from_secs(2), transfer: SOON };
    *server
}

fn of(sink: &MailSink) -> Server {
    server(&format!("smtp://127.0.0.1:{}", sink.port()))
}

fn mail(to: &str) -> Message {
    Message::builder()
        .from("shop@example.com".parse().unwrap())
        .to(to.parse().unwrap())
        .body(".a dot\r\n.\r\n..and more\r\n".to_owned())
        .unwrap()
}

#[tokio::test]
async fn mails_go_over_one_connection_whole() {
    let sink = MailSink::start();
    let server = of(&sink);
    for to in ["a@example.com", "b@example.com"] {
        server.send(&mail(to)).await.unwrap();
    }
    let mails = sink.mails();
    assert_eq!((mails.len(), sink.connections()), (2, 1));
    assert_eq!((mails[1].from.as_str(), mails[1].to.as_str()), ("shop@example.com", "b@example.com"));
    assert!(mails[0].content.contains("\r\n\r\n.a dot\r\n.\r\n..and more\r\n"), "{}", mails[0].content);
}

#[tokio::test]
async fn what_a_refusal_means_depends_on_the_command_and_the_code() {
    let sink = MailSink::start();
    let server = of(&sink);
    let to = "a@example.com";
    let after = async |rule: Rule| {
        sink.add(rule.times(1));
        server.send(&mail(to)).await.unwrap_err()
    };
    for (step, reply) in [
        (Step::Recipient, "550 5.1.1 <a@example.com>: no such user"),
        (Step::Taken, "554 5.7.1 This looks like spam"),
    ] {
        let error = after(Rule::refuse(step, reply)).await;
        assert!(matches!(error, Unsent::Refused(_)), "{error}");
        assert!(!error.to_string().contains(to), "an address in the log: {error}");
    }
    for (step, reply) in [(Step::Recipient, "451 4.7.1 Greylisted"), (Step::Taken, "452 4.3.1 No room")] {
        let error = after(Rule::refuse(step, reply)).await;
        assert!(matches!(error, Unsent::NotNow(_)), "{error}");
    }
    for (step, reply) in [
        (Step::Sender, "550 5.7.1 Not your address"),
        (Step::Sender, "451 4.3.0 Later"),
        (Step::Recipient, "421 4.3.2 Shutting down"),
        (Step::Recipient, "530 5.7.0 Log in first"),
    ] {
        let error = after(Rule::refuse(step, reply)).await;
        assert!(matches!(error, Unsent::Away(_)), "{error}");
    }
    server.send(&mail(to)).await.unwrap();
    assert_eq!(sink.mails().len(), 1, "nothing is left behind by what was refused");
}

#[tokio::test]
async fn a_server_that_is_slow_for_one_mail_is_not_for_the_next_and_replies_are_not_mixed_up() {
    let sink = MailSink::start();
    let server = of(&sink);
    sink.add(Rule::delay(Step::Taken, SOON * 4).of("slow@example.com"));
    let slow = mail("slow@example.com");
    let late = server.send(&slow);
    let quick = async {
        server.send(&mail("quick@example.com")).await.unwrap();
        sink.add(Rule::refuse(Step::Recipient, "550 5.1.1 No").of("gone@example.com"));
        server.send(&mail("gone@example.com")).await
    };
    let (late, gone) = tokio::join!(late, quick);
    assert!(matches!(late, Err(Unsent::NotNow(_))), "{late:?}");
    assert!(matches!(gone, Err(Unsent::Refused(_))), "{gone:?}");
    // The connection on which a reply is still to come is not used again.
    for _ in 0..4 {
        server.send(&mail("quick@example.com")).await.unwrap();
        tokio::time::sleep(SOON / 2).await;
    }
    assert_eq!(sink.mails().iter().filter(|mail| mail.to == "quick@example.com").count(), 5);
}

#[tokio::test]
async fn a_mail_waits_for_its_turn_and_not_for_ever() {
    let sink = MailSink::start();
    let mut server = of(&sink);
    server.patience.transfer = SOON * 10;
    sink.add(Rule::delay(Step::Recipient, SOON * 3));
    let mails = [mail("a@example.com"), mail("b@example.com"), mail("c@example.com")];
    let [a, b, c] = mails.each_ref().map(|mail| server.send(mail));
    let (a, b, c) = tokio::join!(a, b, c);
    a.unwrap();
    b.unwrap();
    assert!(matches!(c, Err(Unsent::Away(_))), "{c:?}");
    assert_eq!(sink.connections(), AT_ONCE);
}

#[tokio::test]
async fn a_server_that_went_away_is_connected_to_again() {
    let mut sink = MailSink::start();
    let server = of(&sink);
    server.send(&mail("a@example.com")).await.unwrap();
    sink.go_away();
    let away = server.send(&mail("a@example.com")).await.unwrap_err();
    assert!(matches!(away, Unsent::Away(_)), "{away}");
    sink.come_back();
    server.send(&mail("a@example.com")).await.unwrap();
    assert_eq!(sink.mails().len(), 2);
}

#[tokio::test]
async fn a_check_says_whether_the_server_accepts_us() {
    let sink = MailSink::start();
    sink.require_login("shop", "s3cret");
    let url = |password: &str| format!("smtp://shop:{password}@127.0.0.1:{}", sink.port());
    let checked = server(&url("s3cret"));
    for _ in 0..3 {
        checked.check().await.unwrap();
    }
    assert_eq!(sink.connections(), 1, "a check counts for a while");
    checked.send(&mail("a@example.com")).await.unwrap();
    assert_eq!(sink.mails()[0].user.as_deref(), Some("shop"));
    let refused = server(&url("wr0ng"));
    let error = format!("{:#}", refused.check().await.unwrap_err());
    assert!(error.contains("535") && !error.contains("wr0ng"), "{error}");
    let error = refused.send(&mail("a@example.com")).await.unwrap_err();
    assert!(matches!(error, Unsent::Away(_)), "a wrong password is not the mail's fault: {error}");
}

#[tokio::test]
async fn tls_is_verified_in_both_forms() {
    let certificate = TestCertificate::of("localhost");
    let other = TestCertificate::of("localhost");
    let (ca, wrong_ca) = (certificate.path().display().to_string(), other.path().display().to_string());
    for (scheme, security) in [
        ("smtp", Security::StartTls(certificate.clone())),
        ("smtps", Security::Implicit(certificate.clone())),
    ] {
        let sink = MailSink::protected(security);
        let port = sink.port();
        sink.require_login("shop", "s3cret");
        let trusting = server(&format!("{scheme}://shop:s3cret@localhost:{port}?ca={ca}"));
        trusting.send(&mail("a@example.com")).await.unwrap();
        assert!(sink.mails()[0].encrypted, "{scheme}");
        for url in [
            format!("{scheme}://localhost:{port}?ca={wrong_ca}"),
            format!("{scheme}://127.0.0.1:{port}?ca={ca}"),
            format!("{scheme}://localhost:{port}?tls=required"),
        ] {
            let error = server(&url).send(&mail("a@example.com")).await.unwrap_err();
            assert!(matches!(error, Unsent::Away(_)), "{url}: {error}");
        }
        assert_eq!(sink.mails().len(), 1, "{scheme}");
    }
}

#[tokio::test]
async fn a_server_without_starttls_gets_neither_password_nor_mail_where_tls_is_required() {
    let sink = MailSink::start();
    sink.require_login("shop", "s3cret");
    let required = server(&format!("smtp://shop:s3cret@localhost:{}?tls=required", sink.port()));
    let error = required.send(&mail("a@example.com")).await.unwrap_err();
    assert!(matches!(error, Unsent::Away(_)), "{error}");
    assert!(error.to_string().contains("STARTTLS"), "{error}");
    assert!(sink.mails().is_empty());
}
