//! What a connection is doing. Its stream and its exchanges write it; whoever decides which connection to close reads it.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

use tokio::time::Instant;

/// The phase of an exchange that a connection is in, in the order in which connections are closed when places run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Phase {
    /// The client has not sent anything yet.
    Silent,
    /// The last response is out; the client is still sending what nobody will read.
    Leaving,
    /// A request's head has begun but is not complete.
    Head,
    /// Between two requests.
    Idle,
    /// A request is being answered.
    Busy,
}

const PHASES: [Phase; 5] = [Phase::Silent, Phase::Leaving, Phase::Head, Phase::Idle, Phase::Busy];

/// Shared by a connection's stream, its exchanges and the list of all connections.
#[derive(Debug)]
pub(super) struct Activity {
    since: Instant,
    phase: AtomicU8,
    /// Milliseconds after `since`.
    progress: AtomicU64,
    waits_for_client: AtomicBool,
    lingers: AtomicBool,
    exchanges: AtomicU32,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            since: Instant::now(),
            phase: AtomicU8::new(Phase::Silent as u8),
            progress: AtomicU64::new(0),
            waits_for_client: AtomicBool::new(false),
            lingers: AtomicBool::new(false),
            exchanges: AtomicU32::new(0),
        }
    }

    pub(super) fn phase(&self) -> Phase {
        PHASES[usize::from(self.phase.load(Relaxed))]
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    /// A request has arrived, with its head complete.
    pub(super) fn begin_exchange(&self) {
        self.exchanges.fetch_add(1, Relaxed);
        self.set_waits_for_client(false);
        self.enter(Phase::Busy);
    }

    /// How many requests have arrived; wraps around.
    pub(super) fn exchanges(&self) -> u32 {
        self.exchanges.load(Relaxed)
    }

    /// Something was read or written.
    pub(super) fn progressed(&self, now: Instant) {
        let after = now.saturating_duration_since(self.since).as_millis();
        self.progress.store(u64::try_from(after).unwrap_or(u64::MAX), Relaxed);
    }

    /// When something was last read or written.
    pub(super) fn last_progress(&self) -> Instant {
        self.since + std::time::Duration::from_millis(self.progress.load(Relaxed))
    }

    /// Whether an exchange cannot go on until the client reads, or sends more.
    pub(super) fn waits_for_client(&self) -> bool {
        self.waits_for_client.load(Relaxed)
    }

    pub(super) fn set_waits_for_client(&self, waits: bool) {
        self.waits_for_client.store(waits, Relaxed);
    }

    /// Whether the client may still be sending when the connection is closed. To close it at once would make the client's
    /// system throw away an answer that it has not read yet.
    pub(super) fn lingers(&self) -> bool {
        self.lingers.load(Relaxed)
    }

    pub(super) fn linger(&self) {
        self.lingers.store(true, Relaxed);
    }
}
