use std::{
    future::Future,
    iter,
    process::ExitCode,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

/// How long a task may run after it was asked to stop. Kubernetes kills after 30 seconds by default.
const GRACE: Duration = Duration::from_secs(25);

/// The life of a process: the tasks it runs, and two ways to end them.
///
/// Stopping is soft first (tasks finish their work) and, after a grace period or a second signal, hard. If a task
/// fails or panics, all others are stopped, and the process exits non-zero. Clones belong to the same process.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    stop: CancellationToken,
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
    failed: Arc<AtomicBool>,
    beneath: Arc<OnceLock<Lifecycle>>,
}

impl Lifecycle {
    /// A process without any tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled when the process should accept no new work and finish what it has.
    pub fn stopping(&self) -> CancellationToken {
        self.soft.clone()
    }

    /// Cancelled when the process must end now.
    pub fn aborting(&self) -> CancellationToken {
        self.hard.clone()
    }

    /// Asks every task to finish.
    pub fn stop(&self) {
        self.stop.cancel();
        self.soft.cancel();
    }

    /// A part of the same process whose tasks are only asked to finish when all tasks of this one have, because those call
    /// them until then. Returns the same one every time; [`Lifecycle::run`] of the outermost one waits for all.
    #[must_use]
    pub fn beneath(&self) -> Self {
        let new = || Self {
            stop: self.stop.clone(),
            hard: self.hard.clone(),
            failed: self.failed.clone(),
            ..Self::default()
        };
        self.beneath.get_or_init(new).clone()
    }

    /// Runs `task` until it ends, or until the hard stop drops it. If it fails, the process fails.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        let this = self.clone();
        let guarded = async move {
            let task = std::panic::AssertUnwindSafe(task).catch_unwind();
            let outcome = tokio::select! {
                outcome = task => outcome,
                () = this.hard.cancelled() => {
                    tracing::warn!(task = name, "dropped: it did not stop within the grace period");
                    return;
                }
            };
            match outcome {
                Ok(Ok(())) => return,
                Ok(Err(error)) => tracing::error!(task = name, error = format!("{error:#}"), "a task failed"),
                Err(_) => tracing::error!(task = name, "a task panicked"),
            }
            this.failed.store(true, Ordering::Relaxed);
            this.stop.cancel();
        };
        self.tasks.spawn(guarded.in_current_span());
    }

    /// Waits for SIGTERM, SIGINT or a failed task, then for all tasks to finish.
    ///
    /// A second signal, or 25 seconds, drops the remaining tasks.
    pub async fn run(self) -> ExitCode {
        let (Ok(mut terminate), Ok(mut interrupt)) =
            (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            tracing::error!("the process cannot listen for signals");
            return ExitCode::FAILURE;
        };
        let mut signalled = async || {
            tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            }
        };
        tokio::select! {
            name = signalled() => tracing::info!(signal = name, "stopping"),
            () = self.stop.cancelled() => {}
        }
        tokio::select! {
            () = self.finish() => {}
            _ = signalled() => tracing::warn!("stopping at once"),
            () = tokio::time::sleep(GRACE) => self.failed.store(true, Ordering::Relaxed),
        }
        self.hard.cancel();
        self.finish().await;
        if self.failed.load(Ordering::Relaxed) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    /// From the outermost part inwards, asks all tasks to finish and waits until they have.
    async fn finish(&self) {
        for part in iter::successors(Some(self), |part| part.beneath.get()) {
            part.soft.cancel();
            part.tasks.close();
            part.tasks.wait().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panicking_task_fails_the_process_and_stops_the_others() {
        let lifecycle = Lifecycle::new();
        let stopping = lifecycle.stopping();
        lifecycle.spawn("patient", async move {
            stopping.cancelled().await;
            Ok(())
        });
        lifecycle.spawn("doomed", async { panic!("as the test wants") });
        assert_eq!(lifecycle.run().await, ExitCode::FAILURE);
    }

    #[tokio::test]
    async fn what_is_beneath_goes_on_until_all_above_has_finished() {
        let above = Lifecycle::new();
        let beneath = above.beneath();
        let (stopping, called) = (above.stopping(), beneath.stopping());
        above.spawn("above", async move {
            stopping.cancelled().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            anyhow::ensure!(!called.is_cancelled(), "what it calls has stopped already");
            Ok(())
        });
        let stopping = beneath.stopping();
        beneath.spawn("beneath", async move {
            stopping.cancelled().await;
            Ok(())
        });
        above.stop();
        assert_eq!(above.run().await, ExitCode::SUCCESS);
    }

    #[tokio::test]
    async fn a_failure_beneath_fails_the_process_and_stops_what_is_above() {
        let above = Lifecycle::new();
        let stopping = above.stopping();
        above.spawn("patient", async move {
            stopping.cancelled().await;
            Ok(())
        });
        above.beneath().spawn("doomed", async { anyhow::bail!("as the test wants") });
        assert_eq!(above.run().await, ExitCode::FAILURE);
    }

    #[tokio::test]
    async fn a_finished_process_succeeds() {
        let lifecycle = Lifecycle::new();
        lifecycle.spawn("short", async { Ok(()) });
        lifecycle.stop();
        assert_eq!(lifecycle.run().await, ExitCode::SUCCESS);
    }
}
