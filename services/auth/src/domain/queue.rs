use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::Client;

/// How many known clients may go in a row before one stranger.
const KNOWN_IN_A_ROW: usize = 4;

/// How many hashes a known client may have waiting: a person needs one.
const WAITING_OF_KNOWN: usize = 4;

/// A queue for a few places that is fair between clients, however much each of them asks: every client waits in its own
/// line, lines take turns, and known clients go before strangers.
///
/// If the queue is full, the last of the longest line is sent away for the newcomer.
#[derive(Clone)]
pub(super) struct Queue(Arc<Mutex<State>>);

/// There is no room to wait, either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// A place, held until it is dropped.
#[derive(Debug)]
pub(super) struct Turn(Option<Queue>);

struct State {
    free: usize,
    capacity: usize,
    known: Lines,
    strangers: Lines,
    known_in_a_row: usize,
    next_id: u64,
}

#[derive(Default)]
struct Lines {
    /// Clients with a line, starting with the one whose turn it is.
    order: VecDeque<String>,
    lines: HashMap<String, VecDeque<Waiter>>,
    waiting: usize,
}

struct Waiter {
    id: u64,
    turn: oneshot::Sender<Turn>,
}

/// Leaves the line if its request stops waiting.
struct Waiting<'a> {
    queue: &'a Queue,
    client: &'a Client,
    line: &'a str,
    id: u64,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Queue")
    }
}

impl Queue {
    /// A queue for `places`, in which `capacity` may wait.
    pub(super) fn new(places: usize, capacity: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            free: places,
            capacity,
            known: Lines::default(),
            strangers: Lines::default(),
            known_in_a_row: 0,
            next_id: 0,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place.
    pub(super) async fn enter(&self, client: &Client) -> Result<Turn, Full> {
        let line = client.line();
        let (turn, turned) = oneshot::channel();
        let id = {
            let mut state = self.state();
            if state.free > 0 {
                state.free -= 1;
                return Ok(Turn(Some(self.clone())));
            }
            state.line_up(client, &line, turn)?
        };
        let _waiting = Waiting { queue: self, client, line: &line, id };
        turned.await.map_err(|_| Full)
    }
}

impl State {
    fn lines(&mut self, client: &Client) -> &mut Lines {
        if client.is_known() { &mut self.known } else { &mut self.strangers }
    }

    fn line_up(&mut self, client: &Client, line: &str, turn: oneshot::Sender<Turn>) -> Result<u64, Full> {
        let own = self.lines(client).length(line);
        // With a limit of half of the queue, one client cannot fill it, and the others need not push anybody out.
        let bound = if client.is_known() { WAITING_OF_KNOWN } else { (self.capacity / 2).max(1) };
        if own >= bound {
            return Err(Full);
        }
        if self.known.waiting + self.strangers.waiting >= self.capacity {
            self.make_room(if client.is_known() { 0 } else { own + 1 })?;
        }
        self.next_id += 1;
        let id = self.next_id;
        self.lines(client).push(line, Waiter { id, turn });
        Ok(id)
    }

    /// Sends away the last one of the strangers' longest line, if it is longer than `than`.
    fn make_room(&mut self, than: usize) -> Result<(), Full> {
        let longest = self.strangers.lines.iter().max_by_key(|(_, line)| line.len());
        let (line, last) = longest
            .filter(|(_, waiters)| waiters.len() > than)
            .and_then(|(line, waiters)| Some((line.clone(), waiters.back()?.id)))
            .ok_or(Full)?;
        self.strangers.remove(&line, last);
        Ok(())
    }

    fn next(&mut self) -> Option<Waiter> {
        let strangers_turn = self.known_in_a_row >= KNOWN_IN_A_ROW && self.strangers.waiting > 0;
        if !strangers_turn && let Some(waiter) = self.known.pop() {
            self.known_in_a_row += 1;
            return Some(waiter);
        }
        self.known_in_a_row = 0;
        self.strangers.pop()
    }
}

impl Lines {
    fn length(&self, line: &str) -> usize {
        self.lines.get(line).map_or(0, VecDeque::len)
    }

    fn push(&mut self, line: &str, waiter: Waiter) {
        let waiters = self.lines.entry(line.to_owned()).or_insert_with(|| {
            self.order.push_back(line.to_owned());
            VecDeque::new()
        });
        waiters.push_back(waiter);
        self.waiting += 1;
    }

    /// Takes the first of the line whose turn it is; the line goes to the end.
    fn pop(&mut self) -> Option<Waiter> {
        let line = self.order.pop_front()?;
        let waiters = self.lines.get_mut(&line)?;
        let waiter = waiters.pop_front()?;
        self.waiting -= 1;
        if waiters.is_empty() {
            self.lines.remove(&line);
        } else {
            self.order.push_back(line);
        }
        Some(waiter)
    }

    fn remove(&mut self, line: &str, id: u64) {
        let Some(waiters) = self.lines.get_mut(line) else { return };
        let Some(at) = waiters.iter().position(|waiter| waiter.id == id) else { return };
        waiters.remove(at);
        self.waiting -= 1;
        if waiters.is_empty() {
            self.lines.remove(line);
            self.order.retain(|other| other != line);
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.queue.state().lines(self.client).remove(self.line, self.id);
    }
}

impl Drop for Turn {
    /// Passes the place on.
    fn drop(&mut self) {
        let Some(queue) = self.0.take() else { return };
        let mut state = queue.state();
        while let Some(waiter) = state.next() {
            match waiter.turn.send(Self(Some(queue.clone()))) {
                Ok(()) => return,
                // Its request no longer waits. It must not be dropped here, where the state is locked.
                Err(mut turn) => drop(turn.0.take()),
            }
        }
        state.free += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures_util::{FutureExt as _, future::BoxFuture};
    use shop_core::UserId;
    use uuid::Uuid;

    use super::*;

    type Entering = BoxFuture<'static, Result<Turn, Full>>;

    fn stranger(number: u8) -> Client {
        Client::at(Ipv4Addr::new(192, 0, 2, number).into())
    }

    fn known(number: u128) -> Client {
        Client::Device { account: UserId(Uuid::from_u128(number)), token: Uuid::nil() }
    }

    /// Joins the queue, or is sent away at once.
    fn enter(queue: &Queue, client: &Client) -> Option<Entering> {
        let (queue, client) = (queue.clone(), client.clone());
        let mut entering = async move { queue.enter(&client).await }.boxed();
        match (&mut entering).now_or_never() {
            Some(Ok(turn)) => Some(std::future::ready(Ok(turn)).boxed()),
            Some(Err(Full)) => None,
            None => Some(entering),
        }
    }

    /// Returns whose turn it is now, by name; takes the place and gives it back.
    fn served(waiting: &mut Vec<(&'static str, Entering)>) -> Option<&'static str> {
        let mut at = 0;
        while at < waiting.len() {
            match (&mut waiting[at].1).now_or_never() {
                Some(Ok(_turn)) => return Some(waiting.remove(at).0),
                Some(Err(Full)) => drop(waiting.remove(at)),
                None => at += 1,
            }
        }
        None
    }

    fn all_served(mut waiting: Vec<(&'static str, Entering)>) -> Vec<&'static str> {
        std::iter::from_fn(|| served(&mut waiting)).collect()
    }

    #[test]
    fn clients_take_turns_however_much_each_of_them_asks() {
        let queue = Queue::new(1, 100);
        let turn = enter(&queue, &stranger(9)).unwrap();
        let mut waiting = Vec::new();
        for (name, client, times) in [("flood", stranger(1), 6), ("a", stranger(2), 2), ("b", stranger(3), 1)]
        {
            for _ in 0..times {
                waiting.push((name, enter(&queue, &client).unwrap()));
            }
        }
        drop(turn);
        assert_eq!(
            all_served(waiting),
            ["flood", "a", "b", "flood", "a", "flood", "flood", "flood", "flood"]
        );
    }

    #[test]
    fn known_clients_go_first_and_starve_nobody() {
        let queue = Queue::new(1, 100);
        let turn = enter(&queue, &stranger(9)).unwrap();
        let mut waiting = vec![("stranger", enter(&queue, &stranger(1)).unwrap())];
        for number in 0..6 {
            waiting.push(("known", enter(&queue, &known(number)).unwrap()));
        }
        drop(turn);
        let order = all_served(waiting);
        assert_eq!(order, ["known", "known", "known", "known", "stranger", "known", "known"]);
    }

    #[test]
    fn one_client_fills_half_of_the_queue_at_most() {
        let queue = Queue::new(1, 10);
        let _turn = enter(&queue, &stranger(9)).unwrap();
        let lined_up: Vec<_> = (0..10).filter_map(|_| enter(&queue, &stranger(1))).collect();
        assert_eq!(lined_up.len(), 5);
        let others: Vec<_> = (0..10).filter_map(|_| enter(&queue, &known(1))).collect();
        assert_eq!(others.len(), WAITING_OF_KNOWN);
    }

    #[test]
    fn in_a_full_queue_the_longest_line_pays_for_a_newcomer() {
        let queue = Queue::new(1, 4);
        let turn = enter(&queue, &stranger(9)).unwrap();
        let mut waiting = Vec::new();
        for (name, client) in [("a", 1), ("a", 1), ("b", 2), ("b", 2)] {
            waiting.push((name, enter(&queue, &stranger(client)).unwrap()));
        }
        for number in 3..5 {
            waiting.push(("new", enter(&queue, &stranger(number)).unwrap()));
        }
        assert!(enter(&queue, &stranger(5)).is_none(), "nobody has more than the newcomer would have");
        waiting.push(("known", enter(&queue, &known(1)).unwrap()));
        drop(turn);
        let served = all_served(waiting);
        assert_eq!(served.len(), 4);
        assert_eq!(served[0], "known");
    }

    #[test]
    fn who_goes_away_leaves_the_line_and_no_place_is_lost() {
        let queue = Queue::new(1, 2);
        for _ in 0..10 {
            let turn = enter(&queue, &stranger(1)).unwrap();
            let gone = enter(&queue, &stranger(2)).unwrap();
            let granted = enter(&queue, &stranger(3)).unwrap();
            drop(gone);
            drop(turn);
            // It has been given the place and has not noticed yet.
            drop(granted);
        }
        let state = queue.state();
        assert_eq!((state.free, state.known.waiting + state.strangers.waiting), (1, 0));
        assert!(state.strangers.lines.is_empty() && state.strangers.order.is_empty());
    }
}
