use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redis::aio::MultiplexedConnection;

use crate::page::Page;

/// What this process knows of Redis and of the list in it. One lock around all of it; no I/O under the lock.
#[derive(Default)]
pub(super) struct State {
    /// The open connection and its number; `None` is an open circuit: nobody waits for a Redis that is away.
    connection: Option<(u64, MultiplexedConnection)>,
    /// How many connections there were.
    connections: u64,
    /// Counts everything that may have made the copy old: a pushed or own invalidation, a lost connection.
    generation: u64,
    copy: Option<Kept>,
    /// The copy is believed until then. Every reply of Redis moves it on, because replies and pushes come in one order:
    /// what Redis had to say before the reply has been heard.
    trusted_until: Option<Instant>,
    /// How many invalidations this process asked for, and how many of these Redis has carried out.
    wanted: u64,
    carried_out: u64,
}

struct Kept {
    page: Arc<Page>,
    expires_at: Instant,
}

/// What [`State::look`] finds.
pub(super) enum Looked {
    /// A copy that is current.
    Here(Arc<Page>),
    /// An invalidation of this process is under way, or due: what is in Redis may be old.
    Changing,
    /// Nothing; ask Redis, and bring the generation back with what it says.
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

    /// Asks for an invalidation; answers which one it is.
    pub(super) fn want_invalidation(&mut self) -> u64 {
        self.forget();
        self.wanted += 1;
        self.wanted
    }

    /// The last invalidation that was asked for, if Redis has not carried it out.
    pub(super) fn debt(&self) -> Option<u64> {
        self.is_in_debt().then_some(self.wanted)
    }

    fn is_in_debt(&self) -> bool {
        self.carried_out < self.wanted
    }

    /// Redis carried out invalidation `number`, and with it all that were asked for before.
    pub(super) fn paid(&mut self, number: u64) {
        self.carried_out = self.carried_out.max(number);
    }

    pub(super) fn connection(&self) -> Option<(u64, MultiplexedConnection)> {
        self.connection.clone()
    }

    pub(super) fn is_open(&self, number: u64) -> bool {
        self.connection.as_ref().is_some_and(|(open, _)| *open == number)
    }

    /// A number for the next connection, which its pushes come with.
    pub(super) fn next_connection(&mut self) -> u64 {
        self.connections += 1;
        self.connections
    }

    pub(super) fn open(&mut self, number: u64, connection: MultiplexedConnection) {
        self.forget();
        self.connection = Some((number, connection));
        self.trusted_until = None;
    }

    /// Closes connection `number`; answers whether it was the open one.
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
