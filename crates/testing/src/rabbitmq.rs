use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Client, Method, Response, StatusCode, Url};
use serde::Deserialize;
use uuid::Uuid;

use crate::{skip::server_url, teardown::teardown};

/// A virtual host for one test. Dropping this deletes it with its exchanges, queues and connections.
#[derive(Debug)]
pub struct TestBroker {
    /// `amqp://…/<vhost>`
    pub url: String,
    /// The management API, as `http://user:password@host:port`.
    pub management_url: String,
    /// The virtual host's name.
    pub vhost: String,
}

/// Creates a virtual host on the server that `SHOP_TEST_RABBITMQ_URL` and `SHOP_TEST_RABBITMQ_MANAGEMENT_URL` name.
///
/// # Panics
/// A server is named but refuses.
pub async fn rabbitmq() -> Option<TestBroker> {
    let server = server_url("SHOP_TEST_RABBITMQ_URL")?;
    let management_url = server_url("SHOP_TEST_RABBITMQ_MANAGEMENT_URL")?;
    match create(&server, management_url).await {
        Ok(broker) => Some(broker),
        Err(error) => panic!("RabbitMQ gives the test no virtual host: {error:#}"),
    }
}

async fn create(server: &str, management_url: String) -> anyhow::Result<TestBroker> {
    let vhost = format!("test-{}", Uuid::new_v4().simple());
    let mut url = Url::parse(server).context("SHOP_TEST_RABBITMQ_URL")?;
    manage(&management_url, Method::PUT, &format!("vhosts/{vhost}"), "{}").await?;
    let user = if url.username().is_empty() { "guest" } else { url.username() };
    let everything = r#"{"configure":".*","write":".*","read":".*"}"#;
    manage(&management_url, Method::PUT, &format!("permissions/{vhost}/{user}"), everything).await?;
    url.set_path(&vhost);
    Ok(TestBroker { url: url.into(), management_url, vhost })
}

impl TestBroker {
    /// Makes the broker close all connections named `name`.
    ///
    /// # Panics
    /// The management API refuses.
    pub async fn close_connections(&self, name: &str) {
        let path = format!("vhosts/{}/connections", self.vhost);
        let answer =
            manage(&self.management_url, Method::GET, &path, "").await.expect("RabbitMQ's management");
        let connections: Vec<Connection> = answer.json().await.expect("connections");
        for connection in connections.into_iter().filter(|connection| connection.user_provided_name == name) {
            let path = format!("connections/{}", connection.name.replace(' ', "%20").replace('>', "%3E"));
            // A connection that has ended by itself no longer exists.
            let _ = manage(&self.management_url, Method::DELETE, &path, "").await;
        }
    }

    /// Deletes an exchange, if it exists, and its bindings.
    ///
    /// # Panics
    /// The management API refuses.
    pub async fn delete_exchange(&self, name: &str) {
        let path = format!("exchanges/{}/{name}", self.vhost);
        if let Err(error) = manage(&self.management_url, Method::DELETE, &path, "").await {
            let status = error.downcast_ref().and_then(reqwest::Error::status);
            assert_eq!(status, Some(StatusCode::NOT_FOUND), "RabbitMQ's management: {error:#}");
        }
    }
}

/// A connection, as the management API reports it.
#[derive(Deserialize)]
struct Connection {
    name: String,
    #[serde(default)]
    user_provided_name: String,
}

impl Drop for TestBroker {
    fn drop(&mut self) {
        let management_url = self.management_url.clone();
        let path = format!("vhosts/{}", self.vhost);
        teardown("a test's virtual host", async move {
            manage(&management_url, Method::DELETE, &path, "").await.map(drop)
        });
    }
}

async fn manage(
    management_url: &str,
    method: Method,
    path: &str,
    body: &'static str,
) -> anyhow::Result<Response> {
    let base = Url::parse(management_url).context("SHOP_TEST_RABBITMQ_MANAGEMENT_URL")?;
    let answer = Client::new()
        .request(method, base.join(&format!("/api/{path}"))?)
        .timeout(Duration::from_secs(20))
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await?
        .error_for_status()?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use lapin::{Connection, ConnectionProperties};

    use super::*;

    #[tokio::test]
    async fn a_virtual_host_takes_connections_and_is_gone_afterwards() {
        let Some(broker) = rabbitmq().await else { return };
        let url = broker.url.clone();
        let connection = Connection::connect(&url, ConnectionProperties::default()).await.unwrap();
        connection.create_channel().await.unwrap();
        drop(broker);
        assert!(Connection::connect(&url, ConnectionProperties::default()).await.is_err());
    }
}
