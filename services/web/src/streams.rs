use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

/// How many streams are open at once. Each is a connection here and another to order_service.
const MOST: usize = 512;

/// How many of them one visitor has. A browser opens six connections to one host over HTTP/1.1, and without a free one it loads no page.
const MOST_OF_ONE: usize = 4;

/// The places for open streams. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Streams(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    all: usize,
    last_id: u64,
    /// The oldest first.
    by_visitor: HashMap<String, VecDeque<(u64, CancellationToken)>>,
}

/// A place, until it is dropped.
pub(crate) struct Place {
    streams: Streams,
    visitor: String,
    id: u64,
    /// Cancelled when a newer stream of the visitor needs the place.
    pub(crate) is_wanted: CancellationToken,
}

impl Streams {
    /// A place for a stream of `visitor`; `None` if there is none.
    ///
    /// A visitor's fifth stream takes the place of the first: most likely its page was left, which the server only notices when it next
    /// writes to it.
    pub(crate) fn take(&self, visitor: &str) -> Option<Place> {
        let mut taken = self.lock();
        let Taken { all, last_id, by_visitor } = &mut *taken;
        let theirs = by_visitor.get_mut(visitor);
        if let Some(theirs) = theirs.filter(|theirs| theirs.len() >= MOST_OF_ONE)
            && let Some((_, oldest)) = theirs.pop_front()
        {
            oldest.cancel();
            *all -= 1;
        }
        if *all >= MOST {
            return None;
        }
        *all += 1;
        *last_id += 1;
        let (id, is_wanted) = (*last_id, CancellationToken::new());
        by_visitor.entry(visitor.to_owned()).or_default().push_back((id, is_wanted.clone()));
        Some(Place { streams: self.clone(), visitor: visitor.to_owned(), id, is_wanted })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // Nothing in here panics between two changes that belong together.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.streams.lock();
        let Taken { all, by_visitor, .. } = &mut *taken;
        let Some(theirs) = by_visitor.get_mut(&self.visitor) else { return };
        if let Some(index) = theirs.iter().position(|(id, _)| *id == self.id) {
            theirs.remove(index);
            *all -= 1;
        }
        if theirs.is_empty() {
            by_visitor.remove(&self.visitor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visitors_fifth_stream_takes_the_place_of_the_first() {
        let streams = Streams::default();
        let mut held: Vec<Place> = (0..5).map(|_| streams.take("a").unwrap()).collect();
        let wanted: Vec<bool> = held.iter().map(|place| place.is_wanted.is_cancelled()).collect();
        assert_eq!(wanted, [true, false, false, false, false]);
        assert_eq!(streams.lock().all, 4);
        // The one that had to go takes nobody's place with it.
        held.remove(0);
        assert_eq!(streams.lock().all, 4);
        drop(held);
        assert!(streams.lock().by_visitor.is_empty() && streams.lock().all == 0);
    }

    #[test]
    fn there_are_only_so_many_places() {
        let streams = Streams::default();
        let mut held: Vec<Place> =
            (0..MOST).map(|visitor| streams.take(&visitor.to_string()).unwrap()).collect();
        assert!(streams.take("another").is_none());
        held.pop();
        assert!(streams.take("another").is_some());
    }
}
