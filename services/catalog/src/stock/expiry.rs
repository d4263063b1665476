//! Reservations whose time is over are given back.
//!
//! Each is a transaction of its own, so that the row of a popular product is never locked for longer than for one order. Several replicas
//! may do this at once: a reservation that another transaction has locked is left to it.

use std::time::Duration;

use shop_outbox::Transaction as _;
use shop_runtime::{Lifecycle, Periodically};
use tokio_util::sync::CancellationToken;

use super::{
    booking::Stockroom,
    books,
    desk::{Desk, Undone},
};

/// How often reservations that have ended are looked for.
const PAUSE: Duration = Duration::from_secs(2);

/// How many are looked up at once.
const CHUNK: u64 = 100;

/// Ends reservations for as long as the process lives.
pub(crate) fn expire(stockroom: Stockroom, desk: Desk, lifecycle: &Lifecycle) {
    let stopping = lifecycle.stopping();
    lifecycle.spawn("expiry of reservations", async move {
        let mut ticks = tokio::time::interval(PAUSE);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
            if let Err(error) = sweep(&stockroom, &desk, &stopping).await {
                warn(&error);
            }
        }
        Ok(())
    });
}

/// Ends all reservations whose time is over; returns how many there were.
pub(crate) async fn sweep(
    stockroom: &Stockroom,
    desk: &Desk,
    stopping: &CancellationToken,
) -> Result<u64, Undone> {
    let mut total = 0;
    loop {
        let due = books::ended(stockroom.database(), desk.now(), CHUNK).await?;
        let mut released = 0;
        for order in &due {
            if stopping.is_cancelled() {
                return Ok(total + released);
            }
            match end(stockroom, desk, *order).await {
                Ok(is_released) => released += u64::from(is_released),
                // One that cannot be ended must not keep the others. It is tried again next time.
                Err(error) => warn(&error),
            }
        }
        total += released;
        if released == 0 || (due.len() as u64) < CHUNK {
            return Ok(total);
        }
    }
}

/// Ends one reservation; returns whether it did.
async fn end(stockroom: &Stockroom, desk: &Desk, order: shop_core::OrderId) -> Result<bool, Undone> {
    let mut booking = stockroom.begin().await?;
    let Some(announced) = desk.expired(&mut booking, order).await? else {
        booking.rollback().await?;
        return Ok(false);
    };
    booking.append(&announced).await?;
    booking.commit().await?;
    Ok(true)
}

/// The database may be away for long.
fn warn(error: &Undone) {
    static FAILED: Periodically = Periodically::line();
    if let Some(count) = FAILED.due() {
        tracing::warn!(%error, count, "reservations could not be ended; they are tried again");
    }
}
