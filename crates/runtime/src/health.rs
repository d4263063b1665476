//! Health: `/health` (the specification's), `/livez`, and `/readyz` with every dependency named.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

/// A dependency that takes longer than this to answer is not ready.
const PATIENCE: Duration = Duration::from_secs(2);

type Probe = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>> + Send + Sync>;

/// What a service depends on, and whether it is being stopped.
#[derive(Clone)]
pub struct Health {
    service: &'static str,
    stopping: CancellationToken,
    dependencies: Vec<Dependency>,
}

#[derive(Clone)]
struct Dependency {
    name: &'static str,
    required: bool,
    probe: Probe,
    /// What the last look said, so that the log tells of changes and not of every look.
    away: Arc<AtomicBool>,
}

/// The answer of `/readyz`.
#[derive(Debug, Serialize)]
pub struct Readiness {
    /// `ok`, `degraded` (an optional dependency is away), `unavailable` or `stopping`.
    pub status: &'static str,
    /// The service's name.
    pub service: &'static str,
    /// Each dependency: `ok` or `unavailable`. Why, is in the log.
    pub dependencies: std::collections::BTreeMap<&'static str, &'static str>,
}

impl Readiness {
    /// Whether requests should be sent here.
    pub fn is_ready(&self) -> bool {
        matches!(self.status, "ok" | "degraded")
    }
}

impl Health {
    /// The health of `service`, with no dependency yet.
    pub fn new(service: &'static str, stopping: CancellationToken) -> Self {
        Self { service, stopping, dependencies: Vec::new() }
    }

    /// Adds a dependency without which the service cannot answer.
    #[must_use]
    pub fn requires<F: Future<Output = anyhow::Result<()>> + Send + 'static>(
        self,
        name: &'static str,
        probe: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        self.depends(name, true, probe)
    }

    /// Adds a dependency without which the service answers, if slower or with less.
    #[must_use]
    pub fn uses<F: Future<Output = anyhow::Result<()>> + Send + 'static>(
        self,
        name: &'static str,
        probe: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        self.depends(name, false, probe)
    }

    fn depends<F: Future<Output = anyhow::Result<()>> + Send + 'static>(
        mut self,
        name: &'static str,
        required: bool,
        probe: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        let probe: Probe = Arc::new(move || Box::pin(probe()));
        self.dependencies.push(Dependency { name, required, probe, away: Arc::default() });
        self
    }

    /// The service's name.
    pub fn service(&self) -> &'static str {
        self.service
    }

    /// Asks every dependency, all at once, each for two seconds at most.
    pub async fn readiness(&self) -> Readiness {
        let answers = futures_util::future::join_all(self.dependencies.iter().map(|dependency| async move {
            let answer = tokio::time::timeout(PATIENCE, (dependency.probe)()).await;
            let answer = answer.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {PATIENCE:?}")));
            let was_away = dependency.away.swap(answer.is_err(), Ordering::Relaxed);
            match &answer {
                Err(error) if !was_away => {
                    tracing::warn!(dependency = dependency.name, error = format!("{error:#}"), "not ready");
                }
                Ok(()) if was_away => tracing::info!(dependency = dependency.name, "ready again"),
                _ => {}
            }
            (dependency, answer.is_ok())
        }))
        .await;
        let status = if self.stopping.is_cancelled() {
            "stopping"
        } else if answers.iter().any(|(dependency, ok)| dependency.required && !ok) {
            "unavailable"
        } else if answers.iter().any(|(_, ok)| !ok) {
            "degraded"
        } else {
            "ok"
        };
        let dependencies = answers
            .iter()
            .map(|(dependency, ok)| (dependency.name, if *ok { "ok" } else { "unavailable" }))
            .collect();
        Readiness { status, service: self.service, dependencies }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> Health {
        Health::new("test_service", CancellationToken::new()).requires("database", || async { Ok(()) })
    }

    #[tokio::test]
    async fn an_optional_dependency_degrades_and_a_required_one_makes_unavailable() {
        assert_eq!(health().readiness().await.status, "ok");
        let degraded = health().uses("cache", || async { anyhow::bail!("away") }).readiness().await;
        assert_eq!((degraded.status, degraded.is_ready()), ("degraded", true));
        let away = health().requires("broker", || async { anyhow::bail!("away") }).readiness().await;
        assert_eq!((away.status, away.is_ready()), ("unavailable", false));
        assert_eq!(away.dependencies["broker"], "unavailable");
    }

    #[tokio::test]
    async fn a_stopping_service_is_not_ready() {
        let stopping = CancellationToken::new();
        stopping.cancel();
        assert!(!Health::new("test_service", stopping).readiness().await.is_ready());
    }
}
