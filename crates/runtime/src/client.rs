//! The HTTP client of the services: with timeouts, and with trace propagation.

use std::time::Duration;

use http::HeaderMap;
use opentelemetry::global;
use opentelemetry_http::HeaderInjector;
use tracing::{Instrument as _, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::http::origin;

/// A client for calls between services: 2 seconds to connect, 5 in total, no redirects, and no proxy, whatever the environment
/// says.
///
/// # Errors
/// The system's TLS roots cannot be read.
pub fn client() -> anyhow::Result<reqwest::Client> {
    crate::install_crypto();
    Ok(reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(2))
        .timeout(Duration::from_secs(5))
        // Shorter than the servers keep an idle connection, so that no request is sent on one that is being closed.
        .pool_idle_timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none())
        // Calls within the shop carry passwords and tokens, so they never go through HTTP_PROXY.
        .no_proxy()
        .user_agent(concat!("shop/", env!("CARGO_PKG_VERSION")))
        .build()?)
}

/// Sends `request` in a span of its own, with the `traceparent` for the callee.
///
/// `name` is the span's name: `GET /orders/{id}`, without ids.
///
/// # Errors
/// The callee cannot be reached, or does not answer in time.
pub async fn send(
    name: &'static str,
    request: reqwest::RequestBuilder,
) -> reqwest::Result<reqwest::Response> {
    let span = tracing::info_span!(
        "call",
        otel.name = name,
        otel.kind = "client",
        otel.status_code = Empty,
        http.response.status_code = Empty,
    );
    let mut headers = HeaderMap::new();
    global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&span.context(), &mut HeaderInjector(&mut headers));
    });
    origin::vouch(&mut headers);
    let outcome = request.headers(headers).send().instrument(span.clone()).await;
    match &outcome {
        Ok(response) => {
            span.record("http.response.status_code", response.status().as_u16());
            if response.status().is_server_error() {
                span.record("otel.status_code", "ERROR");
            }
        }
        Err(_) => {
            span.record("otel.status_code", "ERROR");
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use std::{
        env,
        io::{ErrorKind, Read as _, Write as _},
        net::TcpListener,
        process::Command,
        thread,
    };

    use super::*;

    /// Where the child of the test calls; the environment is a process's own.
    const TARGET: &str = "SHOP_TEST_TARGET";

    #[test]
    fn calls_between_services_use_no_proxy_whatever_the_environment_says() {
        if let Some(target) = env::var_os(TARGET) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let answer = runtime.block_on(async {
                client().unwrap().post(target.to_str().unwrap()).body("password").send().await
            });
            assert_eq!(answer.unwrap().status(), 200);
            return;
        }
        let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
        let mut child = Command::new(env::current_exe().unwrap());
        child.args([
            "--exact",
            "client::tests::calls_between_services_use_no_proxy_whatever_the_environment_says",
        ]);
        child.env(TARGET, at(&target));
        for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            child.env(name, at(&proxy));
        }
        proxy.set_nonblocking(true).unwrap();
        let served = thread::spawn(move || {
            let (mut call, _) = target.accept().unwrap();
            let _ = call.read(&mut [0; 4096]).unwrap();
            call.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        });
        let succeeded = child.status().unwrap().success();
        assert_eq!(proxy.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "the proxy was given the call");
        assert!(succeeded);
        served.join().unwrap();
    }
}
