//! What breaks a backend, and in which order faults come.

use std::time::Duration;

use shop_testing::{Dice, Private};
use sqlx::{Connection as _, PgConnection};
use tokio::time::sleep;

/// The server answers nothing for a while, and keeps its connections.
pub(crate) async fn freeze(server: &Private, lasts: Duration) {
    server.freeze().await;
    sleep(lasts).await;
    server.thaw().await;
}

/// The server crashes, and is started again after a while.
pub(crate) async fn kill(server: &Private, lasts: Duration) {
    server.kill9().await;
    sleep(lasts / 4).await;
    server.start().await;
}

/// The database ends all sessions of its clients.
pub(crate) async fn end_sessions(mut connection: PgConnection) -> anyhow::Result<()> {
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
    sqlx::query(end).execute(&mut connection).await?;
    Ok(connection.close().await?)
}

/// Kinds of faults, of which each comes once before any comes again.
pub(crate) struct Deck<K> {
    all: Vec<K>,
    left: Vec<K>,
}

impl<K: Copy> Deck<K> {
    /// `all` must not be empty.
    pub(crate) fn new(all: Vec<K>) -> Self {
        Self { all, left: Vec::new() }
    }

    pub(crate) fn draw(&mut self, dice: &mut Dice) -> K {
        if self.left.is_empty() {
            self.left.clone_from(&self.all);
        }
        self.left.swap_remove(dice.below(self.left.len() as u64) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_comes_once_before_any_comes_again() {
        let (mut deck, mut dice) = (Deck::new(vec![1, 2, 3]), Dice::new(5));
        for _ in 0..4 {
            let mut round: Vec<i32> = (0..3).map(|_| deck.draw(&mut dice)).collect();
            round.sort_unstable();
            assert_eq!(round, [1, 2, 3]);
        }
    }
}
