//! What is known about a database's server, shared by a pool's hooks, its probe and their users.

use std::{
    mem,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use sea_orm::DbErr;
use sqlx::{ConnectOptions as _, postgres::PgConnectOptions, sqlite::SqliteConnectOptions};
use tokio::time::Instant;
use url::Url;

use super::{failure::Failure, session::Refusal, settings::Settings};

/// How long a connection is trusted after it was last seen to answer, as it does whenever it is given back. A busy
/// pool then asks once for each use instead of twice; no database restarts faster than this.
pub(super) const TRUST: Duration = Duration::from_millis(100);

/// How long every connection is checked before each use, after one has failed.
const DOUBT: Duration = Duration::from_secs(5);

/// How often the log says why connections are closed.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// How connections are opened.
#[derive(Clone, Debug)]
pub(super) enum Server {
    Postgres(PgConnectOptions),
    File(SqliteConnectOptions),
    /// A SQLite database that belongs to its single connection.
    Memory,
}

#[derive(Debug)]
pub(super) struct State {
    settings: Settings,
    server: Mutex<Server>,
    began: Instant,
    /// When there was last a reason for doubt, in milliseconds since `began`; 0: never.
    doubted: AtomicU64,
    /// When the address was replaced, likewise.
    replaced: AtomicU64,
    /// Whether it is known that no pooler shares sessions.
    unshared: AtomicBool,
    full: AtomicBool,
    trouble: Mutex<Trouble>,
    /// The migrations that the service needs.
    needed: Mutex<Vec<String>>,
}

/// Address and user, for comparison.
fn without_password(options: &PgConnectOptions) -> Url {
    let mut url = options.to_url_lossy();
    // Fails for addresses that cannot have one.
    let _ = url.set_password(None);
    url
}

/// Why there are no connections.
#[derive(Debug, Default)]
struct Trouble {
    why: Option<String>,
    /// What is kept in the database is not there: its schema, or a table of it.
    vanished: bool,
    told: Option<Instant>,
}

impl State {
    pub(super) fn new(settings: Settings, server: Server) -> Self {
        Self {
            settings,
            server: Mutex::new(server),
            began: Instant::now(),
            doubted: AtomicU64::default(),
            replaced: AtomicU64::default(),
            unshared: AtomicBool::default(),
            full: AtomicBool::default(),
            trouble: Mutex::default(),
            needed: Mutex::default(),
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn server(&self) -> Server {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records a failure.
    pub(super) fn note(&self, error: &DbErr) {
        self.note_failure(Failure::of(error));
    }

    pub(super) fn note_failure(&self, failure: Failure) {
        if failure.casts_doubt() {
            self.doubt();
        }
        match failure {
            Failure::Full => self.full.store(true, Ordering::Release),
            Failure::Shared => self.unshared.store(false, Ordering::Release),
            _ => {}
        }
    }

    /// For a while from now on, connections are checked before each use.
    pub(super) fn doubt(&self) {
        self.doubted.store(self.now(), Ordering::Release);
    }

    pub(super) fn is_in_doubt(&self) -> bool {
        self.since(&self.doubted).is_some_and(|age| age < DOUBT)
    }

    /// Whether there was a reason for doubt after `moment`.
    pub(super) fn was_doubted_after(&self, moment: Instant) -> bool {
        // A reason recorded at the same moment is already known.
        self.since(&self.doubted).is_some_and(|age| age + Duration::from_millis(2) < moment.elapsed())
    }

    /// Opens connections with other options from now on. If only the password has changed, open connections stay
    /// valid, so that not all of them are reopened at once, under load.
    pub(super) fn replaced(&self, postgres: &PgConnectOptions) {
        let before = mem::replace(
            &mut *self.server.lock().unwrap_or_else(PoisonError::into_inner),
            Server::Postgres(postgres.clone()),
        );
        if matches!(before, Server::Postgres(before) if without_password(&before) == without_password(postgres))
        {
            return;
        }
        self.replaced.store(self.now(), Ordering::Release);
        self.unshared.store(false, Ordering::Release);
        self.doubt();
    }

    /// Whether a connection of this age was opened before the address was replaced.
    pub(super) fn is_outdated(&self, age: Duration) -> bool {
        self.since(&self.replaced).is_some_and(|since| age > since)
    }

    pub(super) fn is_unshared(&self) -> bool {
        self.unshared.load(Ordering::Acquire)
    }

    pub(super) fn found_unshared(&self) {
        self.unshared.store(true, Ordering::Release);
    }

    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    pub(super) fn has_room(&self) {
        if self.is_full() && self.full.swap(false, Ordering::AcqRel) {
            tracing::info!(schema = self.settings.schema, "the database has room again");
        }
    }

    /// Records that a connection was refused.
    pub(super) fn refused(&self, refusal: &Refusal) {
        self.troubled(refusal.to_string(), matches!(refusal, Refusal::NoSchema(_)));
        self.doubt();
    }

    /// Records that there are no connections, or that the schema or a table has `vanished`.
    pub(super) fn troubled(&self, why: String, vanished: bool) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.told.is_none_or(|told| told.elapsed() > TELL_EVERY) {
            tracing::warn!(schema = self.settings.schema, why, "the database cannot be used");
            trouble.told = Some(Instant::now());
        }
        trouble.why = Some(why);
        trouble.vanished = vanished;
    }

    /// Records that there was a connection, and that it is usable.
    pub(super) fn untroubled(&self) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        (trouble.why, trouble.vanished) = (None, false);
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).why.clone()
    }

    pub(super) fn has_vanished(&self) -> bool {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).vanished
    }

    pub(super) fn needs(&self, migrations: Vec<String>) {
        *self.needed.lock().unwrap_or_else(PoisonError::into_inner) = migrations;
    }

    pub(super) fn needed(&self) -> Vec<String> {
        self.needed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)
    }

    fn since(&self, moment: &AtomicU64) -> Option<Duration> {
        let moment = moment.load(Ordering::Acquire);
        (moment > 0).then(|| Duration::from_millis(self.now().saturating_sub(moment)))
    }
}
