//! Receives updates by long polling, and has them handled: those of one chat in order, those of different chats side by side.
//!
//! Teloxide's own dispatcher is not used: it confirms updates before they are handled, so that a crash loses them; it runs them in
//! tasks that nobody owns; and it logs those that it cannot read, passwords included.

use std::{
    collections::{HashMap, VecDeque},
    panic::AssertUnwindSafe,
    time::Duration,
};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures_util::FutureExt as _;
use shop_runtime::Lifecycle;
use teloxide::types::{ChatId, Update};
use tokio::{sync::watch, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    api::{Api, CallError},
    handlers::Handlers,
    metrics::BotMetrics,
    window::Window,
};

/// How long one update may take, flood control included; after that, its chat goes on with the next.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often new updates of other chats are looked for while one is being handled.
const SHORT_POLL: Duration = Duration::from_millis(200);

/// How long the updates in progress have when the bot stops. The process is killed soon after.
const DRAIN: Duration = Duration::from_secs(18);

/// The pauses after failures double up to the longest. Each is shortened at random, to half of it at most, so that many bots do not
/// come back at the same moment.
const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(250))
    .with_max_delay(Duration::from_secs(LONGEST_PAUSE.as_secs() / 2))
    // Adds up to as much again.
    .with_jitter()
    .without_max_times();
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How the Bot API is doing, for `/readyz`: the reason when it is away.
pub(crate) type Connection = watch::Sender<Result<(), String>>;

/// The loop's state. The Bot API returns at most 100 updates from an offset on, and the offset stays at the first update that is
/// not handled, so there are never more than 100 in here.
pub(crate) struct Receiver {
    api: Api,
    handlers: Handlers,
    connection: Connection,
    metrics: BotMetrics,
    window: Window,
    /// The updates of each chat that wait for the one that is being handled.
    waiting: HashMap<Option<ChatId>, VecDeque<Update>>,
    running: JoinSet<(Option<ChatId>, u32)>,
}

/// Waits until the Bot API says who the bot is. `None` if the process stops first.
pub(crate) async fn connect(
    api: &Api,
    connection: &Connection,
    stopping: &CancellationToken,
) -> Option<teloxide::types::Me> {
    let mut pauses = PAUSES.build();
    loop {
        let connecting = async {
            let me = api.me().await?;
            api.take_over_updates().await?;
            // Without the menu of commands the bot is less convenient, but it works.
            if let Err(error) = api.offer_commands().await {
                tracing::warn!(error = %error, "the menu of commands could not be set");
            }
            Ok(me)
        };
        let outcome: Result<_, CallError> = tokio::select! {
            outcome = connecting => outcome,
            () = stopping.cancelled() => return None,
        };
        match outcome {
            Ok(me) => {
                tracing::info!(bot = me.username(), "the bot answers");
                connection.send_modify(|state| *state = Ok(()));
                return Some(me);
            }
            Err(error) => failed(&error, &mut pauses, connection, stopping).await,
        }
    }
}

impl Receiver {
    pub(crate) fn new(api: Api, handlers: Handlers, connection: Connection, metrics: BotMetrics) -> Self {
        Self {
            api,
            handlers,
            connection,
            metrics,
            window: Window::default(),
            waiting: HashMap::new(),
            running: JoinSet::new(),
        }
    }

    /// Runs until the process stops; then finishes what was received, and confirms it.
    pub(crate) async fn run(mut self, lifecycle: &Lifecycle) {
        let stopping = lifecycle.stopping();
        let mut pauses = PAUSES.build();
        while !stopping.is_cancelled() {
            let offset = self.window.offset();
            let wait = self.window.is_idle();
            let polled = tokio::select! {
                polled = self.api.updates(offset, wait) => polled,
                () = stopping.cancelled() => break,
            };
            match polled {
                Ok(updates) => {
                    self.connection.send_if_modified(|state| std::mem::replace(state, Ok(())).is_err());
                    pauses = PAUSES.build();
                    self.window.confirmed(offset);
                    updates.into_iter().for_each(|update| self.receive(update));
                }
                Err(error) => {
                    if matches!(error, CallError::Webhook) {
                        // Somebody has set a webhook since the start. If this call fails, the next poll fails in the same way.
                        let _ = self.api.take_over_updates().await;
                    }
                    failed(&error, &mut pauses, &self.connection, &stopping).await;
                }
            }
            if !self.window.is_idle() {
                self.progress(Instant::now() + SHORT_POLL, &stopping).await;
            }
        }
        self.finish().await;
    }

    /// Starts handling an update, or lets it wait for earlier ones of its chat.
    fn receive(&mut self, update: Update) {
        if !self.window.receive(update.id.0) {
            return;
        }
        self.metrics.received.inc();
        let chat = update.chat().map(|chat| chat.id);
        match self.waiting.get_mut(&chat) {
            Some(waiting) => waiting.push_back(update),
            None => {
                self.waiting.insert(chat, VecDeque::new());
                self.start(chat, update);
            }
        }
    }

    fn start(&mut self, chat: Option<ChatId>, update: Update) {
        let handlers = self.handlers.clone();
        let failures = self.metrics.failed.clone();
        let id = update.id.0;
        self.running.spawn(async move {
            let answering = tokio::time::timeout(PATIENCE, handlers.update(update));
            // Otherwise an update that makes us panic would come again and again.
            match AssertUnwindSafe(answering).catch_unwind().await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => {
                    failures.inc();
                    tracing::error!(update = id, "an update took too long and is given up");
                }
                Err(_) => {
                    failures.inc();
                    tracing::error!(update = id, "handling an update panicked");
                }
            }
            (chat, id)
        });
    }

    /// Notes which updates have been handled, until there is nothing to wait for, the time is over, or the process stops.
    async fn progress(&mut self, until: Instant, stopping: &CancellationToken) {
        while !self.window.is_idle() {
            let done = tokio::select! {
                done = self.running.join_next() => done,
                () = tokio::time::sleep_until(until) => return,
                () = stopping.cancelled() => return,
            };
            let Some(Ok((chat, id))) = done else { return };
            self.window.answer(id);
            match self.waiting.get_mut(&chat).and_then(VecDeque::pop_front) {
                Some(next) => self.start(chat, next),
                None => {
                    self.waiting.remove(&chat);
                }
            }
        }
    }

    /// Handles everything that was received, so that none of it comes again after a restart.
    async fn finish(mut self) {
        self.progress(Instant::now() + DRAIN, &CancellationToken::new()).await;
        if self.window.is_confirmed() {
            return;
        }
        if let Err(error) = self.api.confirm(self.window.offset()).await {
            tracing::warn!(error = %error, "the last updates are not confirmed, and will be handled again");
        }
    }
}

/// Reports a failure and waits.
async fn failed(
    error: &CallError,
    pauses: &mut impl Iterator<Item = Duration>,
    connection: &Connection,
    stopping: &CancellationToken,
) {
    let pause = match error {
        CallError::FloodControl(wait) => *wait,
        _ => pauses.next().unwrap_or(LONGEST_PAUSE),
    };
    let reason = error.to_string();
    tracing::warn!(error = reason, pause = ?pause, "no updates from the Bot API");
    connection.send_modify(|state| *state = Err(reason));
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = stopping.cancelled() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute_and_are_never_the_same_for_all() {
        let mut pauses = PAUSES.build();
        for longest in [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
            let pause = pauses.next().unwrap().as_secs_f64();
            assert!((longest / 2.0..=longest).contains(&pause), "{pause} of {longest}");
        }
        assert!(pauses.take(100).all(|pause| pause <= LONGEST_PAUSE));
    }
}
