//! The life of a reservation: what each event does to it, and to the pieces of its order. No database, no HTTP.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

/// The state of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReservationState)]
pub(crate) enum State {
    /// The pieces are kept for the order.
    Reserved,
    /// The order was confirmed: the pieces have left the warehouse.
    Sold,
    /// The pieces were given back, or none were ever kept because the order was cancelled first.
    Released,
    /// There were too few pieces: none are kept.
    Rejected,
}

/// There is no state with this name.
#[derive(Debug, Error)]
#[error("unknown state of a reservation")]
pub(crate) struct UnknownState;

impl State {
    pub(crate) const ALL: [Self; 4] = [Self::Reserved, Self::Sold, Self::Released, Self::Rejected];

    /// The name on the wire and in the database.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Sold => "sold",
            Self::Released => "released",
            Self::Rejected => "rejected",
        }
    }
}

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(UnknownState)
    }
}

/// A reservation, without its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reservation {
    pub(crate) state: State,
    /// Whether the order was cancelled. Nothing is ever reserved or sold for it again.
    pub(crate) is_cancelled: bool,
    /// Counts the changes of the reservation, from 1.
    pub(crate) version: i64,
}

/// What has happened to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// It was placed.
    Created,
    /// It is paid for.
    Confirmed,
    /// It was cancelled.
    Cancelled,
    /// Its reservation's time is over.
    Expired,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing: it was done before, or comes too late.
    Stay,
    /// The order must be known first.
    Unknown,
    /// No pieces are moved, but nothing may ever be reserved for the order.
    Forbid,
    /// The pieces are moved.
    Move(Movement),
}

/// A movement of an order's pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Movement {
    /// Available pieces are reserved.
    Reserve,
    /// Reserved pieces leave the warehouse.
    Sell,
    /// Available pieces leave the warehouse at once: the reservation had ended, and the order was confirmed all the same.
    SellAvailable,
    /// Reserved pieces are available again.
    Release,
    /// Sold pieces are back in the warehouse, and available.
    PutBack,
}

/// Decides what `occasion` does to the reservation of its order; `None`: there is none.
///
/// The queue keeps the events of an order in order. An event that was set aside and replayed comes later than it should.
pub(crate) fn step(reservation: Option<Reservation>, occasion: Occasion) -> Step {
    use Occasion::{Cancelled, Confirmed, Created, Expired};
    use State::{Rejected, Released, Reserved, Sold};

    let Some(Reservation { state, is_cancelled, .. }) = reservation else {
        return match occasion {
            Created => Step::Move(Movement::Reserve),
            Confirmed => Step::Unknown,
            Cancelled => Step::Forbid,
            Expired => Step::Stay,
        };
    };
    if is_cancelled {
        return Step::Stay;
    }
    match (occasion, state) {
        (Created, _) => Step::Stay,
        (Confirmed, Reserved) => Step::Move(Movement::Sell),
        (Confirmed, Sold) => Step::Stay,
        (Confirmed, Released | Rejected) => Step::Move(Movement::SellAvailable),
        (Cancelled, Reserved) => Step::Move(Movement::Release),
        (Cancelled, Sold) => Step::Move(Movement::PutBack),
        (Cancelled, Released | Rejected) => Step::Forbid,
        (Expired, Reserved) => Step::Move(Movement::Release),
        (Expired, Sold | Released | Rejected) => Step::Stay,
    }
}

impl Movement {
    /// By how much the pieces in the warehouse change, for each piece of the order.
    pub(crate) fn on_hand(self) -> i64 {
        match self {
            Self::Reserve | Self::Release => 0,
            Self::Sell | Self::SellAvailable => -1,
            Self::PutBack => 1,
        }
    }

    /// By how much the reserved pieces change, for each piece of the order.
    pub(crate) fn reserved(self) -> i64 {
        match self {
            Self::Reserve => 1,
            Self::Sell | Self::Release => -1,
            Self::SellAvailable | Self::PutBack => 0,
        }
    }

    /// By how much the available pieces change, for each piece of the order.
    pub(crate) fn available(self) -> i64 {
        self.on_hand() - self.reserved()
    }

    /// Whether it needs available pieces, and so may fail.
    pub(crate) fn takes(self) -> bool {
        self.available() < 0
    }

    /// The reservation's state afterwards.
    pub(crate) fn leads_to(self) -> State {
        match self {
            Self::Reserve => State::Reserved,
            Self::Sell | Self::SellAvailable => State::Sold,
            Self::Release | Self::PutBack => State::Released,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Movement::{PutBack, Release, Reserve, Sell, SellAvailable},
        Occasion::{Cancelled, Confirmed, Created, Expired},
        State::{Rejected, Released, Reserved, Sold},
        Step::{Forbid, Move, Stay, Unknown},
        *,
    };

    #[test]
    fn every_event_has_one_effect_in_every_state() {
        // Without a reservation, reserved, sold, released, rejected.
        let table = [
            (Created, [Move(Reserve), Stay, Stay, Stay, Stay]),
            (Confirmed, [Unknown, Move(Sell), Stay, Move(SellAvailable), Move(SellAvailable)]),
            (Cancelled, [Forbid, Move(Release), Move(PutBack), Forbid, Forbid]),
            (Expired, [Stay, Move(Release), Stay, Stay, Stay]),
        ];
        for (occasion, expected) in table {
            let states = [None, Some(Reserved), Some(Sold), Some(Released), Some(Rejected)];
            for (state, expected) in states.into_iter().zip(expected) {
                let reservation = state.map(|state| Reservation { state, is_cancelled: false, version: 1 });
                assert_eq!(step(reservation, occasion), expected, "{occasion:?} when {state:?}");
            }
            for state in State::ALL {
                let cancelled = Reservation { state, is_cancelled: true, version: 2 };
                assert_eq!(step(Some(cancelled), occasion), Stay, "{occasion:?} when cancelled");
            }
        }
    }

    #[test]
    fn a_name_is_read_as_it_is_written() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse::<State>().unwrap(), state);
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
