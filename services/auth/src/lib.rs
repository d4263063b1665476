//! Accounts and tokens.
//!
//! This service registers people, checks their passwords, and issues the tokens that every other service verifies
//! itself. It has no sessions: a token is valid until it expires, and there are no refresh tokens; people log in again.
#![warn(missing_docs)]

mod admin;
mod app;
mod attempts;
mod config;
mod domain;
mod migration;
mod refusals;
mod routes;
mod store;
#[cfg(test)]
mod testing;

use std::{net::SocketAddr, sync::Arc};

use shop_runtime::{
    Scope, Service, database,
    http::{self, ApiDoc, Limits},
};

use crate::{
    app::App,
    attempts::Attempts,
    domain::{Passwords, Tokens},
    migration::Migrator,
    refusals::Refusals,
};
pub use crate::{config::Config, domain::PasswordPolicy};

/// The database schema of this service.
const SCHEMA: &str = "auth";

/// The longest body that makes sense is a JSON one with a password of 128 escaped characters.
const LIMITS: Limits = Limits { body: 16 * 1024, ..Limits::DEFAULT };

/// The authentication service.
#[derive(Clone, Copy, Debug)]
pub struct Auth;

impl Service for Auth {
    const NAME: &'static str = "auth_service";
    const ABOUT: &'static str = "Accounts and tokens of the shop";
    type Config = Config;

    async fn start(config: Config, scope: Scope) -> anyhow::Result<SocketAddr> {
        // What needs no database comes first, so that a wrong variable is reported at once.
        let tokens = Tokens::new(&config.tokens, config.jwt_private_key.as_ref(), config.token_lifetime())?;
        let admin = config.admin()?;
        let passwords = Passwords::new()?;
        let attempts = Attempts::new(
            config.shared_secret()?.as_bytes(),
            config.redis_url.expose(),
            scope.clock.clone(),
        )?;
        config.redis_url.warn();
        let refusals = Refusals::default();
        scope.metrics.register(|registry| {
            registry.register(
                "auth_password_hashes",
                "Password hashes computed, for registrations and logins",
                passwords.hashes(),
            );
            registry.register(
                "auth_refusals",
                "Logins and registrations refused without checking the password",
                refusals.counters(),
            );
        });
        let database = database::open::<Migrator>(&config.database_url, SCHEMA, &scope).await?;
        if let Some(admin) = admin {
            admin::ensure(admin, &database, &passwords, &scope.clock).await?;
        }
        if let Some(redis) = attempts.shared() {
            scope.health.uses("redis", move || {
                let redis = redis.clone();
                async move { redis.ping().await }
            });
        }
        let app = App {
            database,
            clock: scope.clock.clone(),
            verifier: tokens.verifier(),
            tokens: Arc::new(tokens),
            passwords: Arc::new(passwords),
            attempts: Arc::new(attempts),
            refusals,
            trust_proxy: config.trust_proxy,
            password_policy: config.password_policy,
        };
        let router = http::router(routes::described().with_state(app), &scope, LIMITS);
        http::bind_and_serve(config.listen, router, &scope).await
    }

    async fn migrate(config: Config) -> anyhow::Result<()> {
        database::migrated::<Migrator>(&config.database_url, SCHEMA).await.map(drop)
    }

    fn listen(config: &Config) -> SocketAddr {
        config.listen
    }

    fn api() -> Option<ApiDoc> {
        Some(routes::described().into_openapi())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::try_join_all;
    use serde_json::Value;
    use shop_runtime::{Lifecycle, Scope, Service as _};
    use shop_testing::{Log, servers::Durability};

    use super::*;
    use crate::testing::{configuration, on_database, on_each_database, problem};

    #[tokio::test]
    async fn health_is_as_specified_and_readiness_names_the_database() {
        on_each_database(async |auth| {
            let get = async |path: &str| auth.client.get(auth.url(path)).send().await.unwrap().text().await;
            assert_eq!(get("/health").await.unwrap(), r#"{"status":"ok","service":"auth_service"}"#);
            let ready: Value = serde_json::from_str(&get("/readyz").await.unwrap()).unwrap();
            assert_eq!((&ready["status"], &ready["dependencies"]["database"]), (&"ok".into(), &"ok".into()));
        })
        .await;
    }

    #[tokio::test]
    async fn replicas_that_start_together_share_one_database() {
        let Some(postgres) = shop_testing::postgres().await else { return };
        let lifecycle = Lifecycle::new();
        let starts = (0..4).map(|_| {
            let mut config = configuration(&postgres.url);
            config.admin_email = Some("admin@example.com".parse().unwrap());
            config.admin_password = Some("a good password".into());
            Auth::start(config, Scope::new(Auth::NAME, &lifecycle))
        });
        try_join_all(starts).await.unwrap();
        lifecycle.stop();
        lifecycle.run().await;
    }

    #[tokio::test]
    async fn without_its_database_it_says_so_and_it_recovers() {
        let Some(postgres) = shop_testing::private_postgres(Durability::Durable).await else { return };
        let url = postgres.url.clone();
        on_database(&url, async |auth| {
            let token = auth.token("user@example.com").await;
            postgres.kill9().await;
            let login = auth.login("user@example.com", "password123").await;
            assert_eq!(login.status(), 503);
            assert!(login.headers().contains_key("retry-after"));
            assert_eq!(login.headers()["content-type"], "application/problem+json");
            let ready = auth.client.get(auth.url("/readyz")).send().await.unwrap();
            assert_eq!(ready.status(), 503);
            let ready: Value = ready.json().await.unwrap();
            assert_eq!(ready["dependencies"]["database"], "unavailable");
            assert_eq!(auth.verify(&token).await.status(), 200, "a token needs no database");
            postgres.start().await;
            assert_eq!(auth.login("user@example.com", "password123").await.status(), 200);
        })
        .await;
    }

    #[tokio::test]
    async fn a_wrong_path_or_method_is_a_problem_too() {
        on_each_database(async |auth| {
            let wrong_path = auth.client.get(auth.url("/auth/nothing")).send().await.unwrap();
            assert_eq!(problem(wrong_path).await["status"], 404);
            let wrong_method = auth.client.get(auth.url("/auth/token")).send().await.unwrap();
            assert_eq!(wrong_method.headers()["allow"], "POST");
            assert_eq!(problem(wrong_method).await["status"], 405);
        })
        .await;
    }

    #[test]
    fn every_endpoint_is_described() {
        let api = serde_json::to_value(Auth::api().unwrap()).unwrap();
        let paths: Vec<_> = api["paths"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(paths, ["/.well-known/jwks.json", "/auth/register", "/auth/token", "/auth/verify"]);
        let login = &api["paths"]["/auth/token"]["post"]["requestBody"]["content"];
        assert!(
            login["application/json"].is_object() && login["application/x-www-form-urlencoded"].is_object()
        );
        let registration =
            &api["paths"]["/auth/register"]["post"]["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(registration["required"], serde_json::json!(["email", "password"]));
    }

    #[tokio::test]
    async fn the_log_tells_no_password_token_hash_or_person_even_when_it_tells_everything() {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer({
                let log = log.clone();
                move || log.clone()
            })
            .finish();
        let _installed = tracing::subscriber::set_default(subscriber);
        on_each_database(async |auth| {
            let token = auth.token("somebody@example.com").await;
            auth.verify(&token).await;
            auth.login("somebody@example.com", "password123").await;
            auth.login("somebody@example.com", "password-wrong").await;
            auth.post(
                "/auth/token",
                "application/json",
                r#"{"email":"somebody@example.com","password":{"password1":2}}"#,
            )
            .await;
            auth.post(
                "/auth/token",
                "application/x-www-form-urlencoded",
                "username=somebody%40example.com&password=password2",
            )
            .await;
            let signature = token.rsplit('.').next().unwrap();
            let log = log.text();
            assert!(log.contains("registered"), "the log is looked at");
            for secret in ["password1", "password2", "password-wrong", "somebody", "$argon2id$", signature] {
                let line = log.lines().find(|line| line.contains(secret));
                assert!(line.is_none(), "{secret} is in the log: {}", line.unwrap_or_default());
            }
        })
        .await;
    }
}
