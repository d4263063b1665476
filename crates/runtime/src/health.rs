//! Health: `/health` (the specification's), `/livez`, and `/readyz` with every dependency named.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

/// A dependency that takes longer than this to answer counts as not ready.
const PATIENCE: Duration = Duration::from_secs(2);

type Probe = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>> + Send + Sync>;

/// What a service depends on, and whether it is being stopped. Whatever a service opens registers its own check here, as it
/// registers its metrics. Clones share it.
#[derive(Clone)]
pub struct Health {
    service: &'static str,
    stopping: CancellationToken,
    dependencies: Arc<RwLock<Vec<Dependency>>>,
}

#[derive(Clone)]
struct Dependency {
    name: Cow<'static, str>,
    required: bool,
    probe: Probe,
    /// What the last check found, so that the log has a line for each change and not for each check.
    away: Arc<AtomicBool>,
}

/// The response of `/readyz`.
#[derive(Debug, Serialize)]
pub struct Readiness {
    /// `ok`, `degraded` (an optional dependency is unavailable), `unavailable` or `stopping`.
    pub status: &'static str,
    /// The service's name.
    pub service: &'static str,
    /// Each dependency: `ok` or `unavailable`. The log says why.
    pub dependencies: BTreeMap<Cow<'static, str>, &'static str>,
}

impl Readiness {
    /// Whether requests should be sent here.
    pub fn is_ready(&self) -> bool {
        matches!(self.status, "ok" | "degraded")
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.dependencies().into_iter().map(|dependency| dependency.name);
        f.debug_tuple("Health").field(&self.service).field(&names.collect::<Vec<_>>()).finish()
    }
}

impl Health {
    /// The health of `service`, with no dependency yet.
    pub fn new(service: &'static str, stopping: CancellationToken) -> Self {
        Self { service, stopping, dependencies: Arc::default() }
    }

    /// Adds a dependency without which the service cannot answer.
    pub fn requires<F: Future<Output = anyhow::Result<()>> + Send + 'static>(
        &self,
        name: impl Into<Cow<'static, str>>,
        probe: impl Fn() -> F + Send + Sync + 'static,
    ) {
        self.depends(name.into(), true, Arc::new(move || Box::pin(probe())));
    }

    /// Adds a dependency without which the service still works, but slower or with fewer functions.
    pub fn uses<F: Future<Output = anyhow::Result<()>> + Send + 'static>(
        &self,
        name: impl Into<Cow<'static, str>>,
        probe: impl Fn() -> F + Send + Sync + 'static,
    ) {
        self.depends(name.into(), false, Arc::new(move || Box::pin(probe())));
    }

    fn depends(&self, name: Cow<'static, str>, required: bool, probe: Probe) {
        let dependency = Dependency { name, required, probe, away: Arc::default() };
        self.dependencies.write().unwrap_or_else(PoisonError::into_inner).push(dependency);
    }

    fn dependencies(&self) -> Vec<Dependency> {
        self.dependencies.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The service's name.
    pub fn service(&self) -> &'static str {
        self.service
    }

    /// Checks every dependency, all at once, each for two seconds at most.
    pub async fn readiness(&self) -> Readiness {
        let dependencies = self.dependencies();
        let answers = futures_util::future::join_all(dependencies.iter().map(Dependency::is_there)).await;
        let answers = || dependencies.iter().zip(&answers);
        let status = if self.stopping.is_cancelled() {
            "stopping"
        } else if answers().any(|(dependency, ok)| dependency.required && !ok) {
            "unavailable"
        } else if answers().any(|(_, ok)| !ok) {
            "degraded"
        } else {
            "ok"
        };
        let dependencies = answers()
            .map(|(dependency, ok)| (dependency.name.clone(), if *ok { "ok" } else { "unavailable" }))
            .collect();
        Readiness { status, service: self.service, dependencies }
    }
}

impl Dependency {
    /// Whether it answers as it should; a change is logged.
    async fn is_there(&self) -> bool {
        let answer = tokio::time::timeout(PATIENCE, (self.probe)()).await;
        let answer = answer.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {PATIENCE:?}")));
        let was_away = self.away.swap(answer.is_err(), Ordering::Relaxed);
        match &answer {
            Err(error) if !was_away => {
                tracing::warn!(dependency = &*self.name, error = format!("{error:#}"), "not ready");
            }
            Ok(()) if was_away => tracing::info!(dependency = &*self.name, "ready again"),
            _ => {}
        }
        answer.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> Health {
        let health = Health::new("test_service", CancellationToken::new());
        health.requires("database", || async { Ok(()) });
        health
    }

    #[tokio::test]
    async fn an_optional_dependency_degrades_and_a_required_one_makes_unavailable() {
        assert_eq!(health().readiness().await.status, "ok");
        let degraded = health();
        degraded.uses("cache", || async { anyhow::bail!("away") });
        let degraded = degraded.readiness().await;
        assert_eq!((degraded.status, degraded.is_ready()), ("degraded", true));
        let away = health();
        away.requires("broker", || async { anyhow::bail!("away") });
        let away = away.readiness().await;
        assert_eq!((away.status, away.is_ready()), ("unavailable", false));
        assert_eq!(away.dependencies["broker"], "unavailable");
    }

    #[tokio::test]
    async fn what_a_clone_registers_is_checked() {
        let health = health();
        health.clone().requires("broker", || async { anyhow::bail!("away") });
        assert_eq!(health.readiness().await.status, "unavailable");
    }

    #[tokio::test]
    async fn a_stopping_service_is_not_ready() {
        let stopping = CancellationToken::new();
        stopping.cancel();
        assert!(!Health::new("test_service", stopping).readiness().await.is_ready());
    }
}
