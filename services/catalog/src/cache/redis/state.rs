use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redis::aio::MultiplexedConnection;

use crate::page::Page;

/// What this process knows about Redis and the list in it. One lock guards all of it; no I/O happens under the lock.
#[derive(Default)]
pub(super) struct State {
    /// The open connection and its number. `None` is an open circuit: nobody waits for a Redis that is away.
    connection: Option<(u64, MultiplexedConnection)>,
    /// How many connections there have been.
    connections: u64,
    /// Counts everything that may have made the copy outdated: an invalidation, pushed or our own, and a lost connection.
    generation: u64,
    copy: Option<Kept>,
    /// The copy is valid until then. Every reply from Redis extends it, because replies and pushes arrive in order:
    /// whatever Redis pushed before the reply has been processed.
    trusted_until: Option<Instant>,
    /// How many invalidations this process has requested, and how many of these Redis has performed.
    wanted: u64,
    carried_out: u64,
}

struct Kept {
    page: Arc<Page>,
    expires_at: Instant,
}

/// The result of [`State::look`].
pub(super) enum Looked {
    /// A copy that is current.
    Here(Arc<Page>),
    /// An invalidation by this process is in progress or pending: the entry in Redis may be outdated.
    Changing,
    /// Nothing; ask Redis, and pass the generation back with its reply.
    Ask {
        /// For [`State::keep`].
        generation: u64,
    },
}

impl State {
    pub(super) fn look(&self, now: Instant) -> Looked {
        match &self.copy {
            _ if self.is_in_debt() => Looked::Changing,
            Some(copy) if now < copy.expires_at && self.trusted_until.is_some_and(|until| now < until) => {
                Looked::Here(copy.page.clone())
            }
            _ => Looked::Ask { generation: self.generation },
        }
    }

    /// Keeps a copy of `page`, unless something was invalidated since `generation` was current.
    pub(super) fn keep(&mut self, generation: u64, page: &Arc<Page>, expires_at: Instant) {
        if self.generation == generation {
            self.copy = Some(Kept { page: page.clone(), expires_at });
        }
    }

    /// Redis answered a command that was sent at `sent_at`.
    pub(super) fn heard(&mut self, number: u64, sent_at: Instant, trust: Duration) {
        if self.is_open(number) {
            self.trusted_until = self.trusted_until.max(Some(sent_at + trust));
        }
    }

    pub(super) fn forget(&mut self) {
        self.generation += 1;
        self.copy = None;
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Requests an invalidation; returns its number.
    pub(super) fn want_invalidation(&mut self) -> u64 {
        self.forget();
        self.wanted += 1;
        self.wanted
    }

    /// The last requested invalidation, if Redis has not performed it.
    pub(super) fn debt(&self) -> Option<u64> {
        self.is_in_debt().then_some(self.wanted)
    }

    fn is_in_debt(&self) -> bool {
        self.carried_out < self.wanted
    }

    /// Redis has performed invalidation `number`, and with it all earlier ones.
    pub(super) fn paid(&mut self, number: u64) {
        self.carried_out = self.carried_out.max(number);
    }

    pub(super) fn connection(&self) -> Option<(u64, MultiplexedConnection)> {
        self.connection.clone()
    }

    pub(super) fn is_open(&self, number: u64) -> bool {
        self.connection.as_ref().is_some_and(|(open, _)| *open == number)
    }

    /// The number for the next connection; its pushes carry it.
    pub(super) fn next_connection(&mut self) -> u64 {
        self.connections += 1;
        self.connections
    }

    pub(super) fn open(&mut self, number: u64, connection: MultiplexedConnection) {
        self.forget();
        self.connection = Some((number, connection));
        self.trusted_until = None;
    }

    /// Closes connection `number`; returns whether it was the open one.
    pub(super) fn close(&mut self, number: u64) -> bool {
        let was_open = self.is_open(number);
        if was_open {
            self.forget();
            self.connection = None;
        }
        was_open
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn page() -> Arc<Page> {
        Arc::new(Page::new(Bytes::from_static(b"[]"), None))
    }

    fn generation(state: &State, now: Instant) -> u64 {
        match state.look(now) {
            Looked::Ask { generation } => generation,
            _ => panic!("there should be nothing to find"),
        }
    }

    fn trusted(now: Instant) -> State {
        State { trusted_until: Some(now + Duration::from_secs(2)), ..State::default() }
    }

    #[test]
    fn a_reply_that_an_invalidation_overtook_is_not_kept() {
        let now = Instant::now();
        let mut state = trusted(now);
        let asked = generation(&state, now);
        state.forget();
        state.keep(asked, &page(), now + Duration::from_secs(60));
        assert!(matches!(state.look(now), Looked::Ask { .. }));
    }

    #[test]
    fn a_copy_is_believed_no_longer_than_redis_was_heard() {
        let now = Instant::now();
        let mut state = trusted(now);
        let asked = generation(&state, now);
        state.keep(asked, &page(), now + Duration::from_secs(60));
        assert!(matches!(state.look(now + Duration::from_millis(1999)), Looked::Here(_)));
        assert!(matches!(state.look(now + Duration::from_secs(2)), Looked::Ask { .. }));
    }

    #[test]
    fn a_copy_lives_no_longer_than_the_list() {
        let now = Instant::now();
        let mut state = trusted(now);
        let asked = generation(&state, now);
        state.keep(asked, &page(), now + Duration::from_millis(500));
        assert!(matches!(state.look(now + Duration::from_millis(500)), Looked::Ask { .. }));
    }

    #[test]
    fn nothing_is_read_from_redis_while_an_invalidation_is_due() {
        let now = Instant::now();
        let mut state = trusted(now);
        let first = state.want_invalidation();
        let second = state.want_invalidation();
        state.paid(first);
        assert!(matches!(state.look(now), Looked::Changing));
        state.paid(second);
        assert!(matches!(state.look(now), Looked::Ask { .. }));
        assert_eq!(state.debt(), None);
    }
}
