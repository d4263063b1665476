//! A running service for the tests: the real one, on a free port, called over HTTP.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
    sync::Mutex,
    time::Duration,
};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use jsonwebtoken::Algorithm;
use secrecy::SecretString;
use serde_json::{Value, json};
use shop_core::Clock;
use shop_runtime::{
    Lifecycle, Scope, Service as _,
    auth::TokenConfig,
    config::{DatabaseUrl, RedisUrl},
};

use crate::{Auth, Config, domain::PasswordPolicy};

/// The key that the service signs with.
pub(crate) const SECRET: &str = "a secret for tests, long enough for HS256";

/// The service, and what tests need from it.
pub(crate) struct Running {
    pub(crate) client: reqwest::Client,
    /// The service's clock: it stays at the time of the start until it is advanced.
    pub(crate) clock: Clock,
    pub(crate) database_url: DatabaseUrl,
    config: Config,
    started: Mutex<(Lifecycle, SocketAddr)>,
}

/// Runs `case` on SQLite and on PostgreSQL, each with its own service and database.
pub(crate) async fn on_each_database(case: impl AsyncFn(&Running)) {
    on_sqlite_with(|_| {}, &case).await;
    let Some(postgres) = shop_testing::postgres().await else { return };
    on_database(&postgres.url, &case).await;
}

/// Runs `case` on the database at `url`.
pub(crate) async fn on_database(url: &str, case: impl AsyncFn(&Running)) {
    run(configuration(url), case).await;
}

/// Runs `case` on SQLite, with its own configuration.
pub(crate) async fn on_sqlite_with(configure: impl FnOnce(&mut Config), case: impl AsyncFn(&Running)) {
    let directory = tempfile::tempdir().unwrap();
    let mut config = configuration(&format!("sqlite:{}", directory.path().join("auth.db").display()));
    configure(&mut config);
    run(config, case).await;
}

/// A service on a free port that signs with [`SECRET`].
pub(crate) fn configuration(database_url: &str) -> Config {
    Config {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        database_url: database_url.parse().unwrap(),
        tokens: TokenConfig::with_secret(SECRET),
        redis_url: RedisUrl::MEMORY,
        trust_proxy: false,
        password_policy: PasswordPolicy::Basic,
        jwt_private_key: None,
        jwt_expire_minutes: 60,
        admin_email: None,
        admin_password: None,
    }
}

async fn run(config: Config, case: impl AsyncFn(&Running)) {
    shop_runtime::install_crypto();
    let clock = Clock::manual(Clock::system().now());
    let started = Mutex::new(start(config.clone(), &clock).await);
    let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build().unwrap();
    let database_url = config.database_url.clone();
    let running = Running { client, clock, database_url, config, started };
    case(&running).await;
    let Running { client, started, .. } = running;
    drop(client);
    stop(started.into_inner().unwrap().0).await;
}

async fn start(config: Config, clock: &Clock) -> (Lifecycle, SocketAddr) {
    let lifecycle = Lifecycle::new();
    let scope = Scope { clock: clock.clone(), ..Scope::new(Auth::NAME, &lifecycle) };
    let address = Auth::start(config, scope).await.unwrap();
    (lifecycle, address)
}

async fn stop(lifecycle: Lifecycle) {
    lifecycle.stop();
    assert_eq!(lifecycle.run().await, ExitCode::SUCCESS);
}

impl Running {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.started.lock().unwrap().1)
    }

    /// Stops the service and starts it again, on the same database.
    pub(crate) async fn restart(&self, configure: impl FnOnce(&mut Config)) {
        let lifecycle = self.started.lock().unwrap().0.clone();
        stop(lifecycle).await;
        let mut config = self.config.clone();
        configure(&mut config);
        *self.started.lock().unwrap() = start(config, &self.clock).await;
    }

    pub(crate) async fn post(&self, path: &str, content_type: &str, body: &str) -> reqwest::Response {
        let mut request = self.client.post(self.url(path)).body(body.to_owned());
        if !content_type.is_empty() {
            request = request.header("content-type", content_type);
        }
        request.send().await.unwrap()
    }

    pub(crate) async fn post_json(&self, path: &str, body: &Value) -> reqwest::Response {
        self.client.post(self.url(path)).json(body).send().await.unwrap()
    }

    pub(crate) async fn register(&self, email: &str, password: &str) -> reqwest::Response {
        self.post_json("/auth/register", &json!({ "email": email, "password": password })).await
    }

    pub(crate) async fn login(&self, email: &str, password: &str) -> reqwest::Response {
        self.post_json("/auth/token", &json!({ "email": email, "password": password })).await
    }

    /// Logs in through a proxy that identifies the client, with the token of an earlier login, if there is one.
    pub(crate) async fn login_as(
        &self,
        client: &str,
        device: Option<&str>,
        email: &str,
        password: &str,
    ) -> reqwest::Response {
        let body = json!({ "email": email, "password": password });
        let request = self.client.post(self.url("/auth/token")).header("x-forwarded-for", client).json(&body);
        let request = device.into_iter().fold(request, reqwest::RequestBuilder::bearer_auth);
        request.send().await.unwrap()
    }

    /// Registers `email` and returns its token.
    pub(crate) async fn token(&self, email: &str) -> String {
        let body: Value = self.register(email, "password123").await.json().await.unwrap();
        body["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn verify(&self, token: &str) -> reqwest::Response {
        self.client.get(self.url("/auth/verify")).bearer_auth(token).send().await.unwrap()
    }

    /// How often argon2 has run, according to `/metrics`.
    pub(crate) async fn password_hashes(&self) -> u64 {
        let metrics = self.client.get(self.url("/metrics")).send().await.unwrap().text().await.unwrap();
        let value = metrics.lines().find_map(|line| line.strip_prefix("auth_password_hashes_total "));
        value.unwrap().parse().unwrap()
    }
}

/// Returns the problem in `response`; fails if it is something else, or a server error.
pub(crate) async fn problem(response: reqwest::Response) -> Value {
    let status = response.status();
    assert!(status.is_client_error(), "{status}");
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["status"], status.as_u16());
    problem
}

/// A problem for a snapshot, without the parts that differ from run to run.
pub(crate) fn snapshot(problem: &Value) -> String {
    let mut problem = problem.clone();
    problem.as_object_mut().unwrap().remove("trace_id");
    serde_json::to_string_pretty(&problem).unwrap()
}

/// A key pair, as PEM.
pub(crate) struct Keys {
    pub(crate) private: SecretString,
    pub(crate) public: String,
}

/// A new key pair for `algorithm`.
pub(crate) fn keys(algorithm: Algorithm) -> Keys {
    match algorithm {
        Algorithm::RS256 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
            let private: Pkcs8V1Der<'_> = pair.as_der().unwrap();
            pems(private.as_ref(), pair.public_key())
        }
        Algorithm::ES256 => {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
            pems(pair.to_pkcs8v1().unwrap().as_ref(), pair.public_key())
        }
        Algorithm::EdDSA => {
            let private = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).unwrap();
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(private.as_ref()).unwrap();
            pems(private.as_ref(), pair.public_key())
        }
        _ => panic!("{algorithm:?} has no key pair"),
    }
}

fn pems(private: &[u8], public: &impl AsDer<PublicKeyX509Der<'static>>) -> Keys {
    let public = public.as_der().unwrap();
    Keys { private: pem("PRIVATE KEY", private).into(), public: pem("PUBLIC KEY", public.as_ref()) }
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> = (0..body.len()).step_by(64).map(|at| &body[at..body.len().min(at + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
