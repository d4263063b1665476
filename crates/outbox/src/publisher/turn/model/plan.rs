//! What happens in one case, as a property test makes it up: small and calm when it shrinks.

use proptest::prelude::*;

/// What the broker thinks of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    Plain,
    /// The broker closes the channel because of it.
    Poison,
    /// No queue is bound for it.
    Unroutable,
    /// It cannot be encoded.
    Unsendable,
}

#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) batch_size: usize,
    /// The aggregate of each row, and what the broker thinks of it.
    pub(super) rows: Vec<(u8, Nature)>,
    /// Windows of more messages are never confirmed in time.
    pub(super) widest: usize,
    pub(super) dice: Dice,
}

impl Plan {
    pub(super) fn any() -> impl Strategy<Value = Self> {
        let nature = prop_oneof![
            12 => Just(Nature::Plain),
            1 => Just(Nature::Poison),
            1 => Just(Nature::Unroutable),
            1 => Just(Nature::Unsendable),
        ];
        let rows = prop::collection::vec((0..5_u8, nature), 1..24);
        let widest = prop_oneof![4 => Just(usize::MAX), 1 => 1..4_usize];
        let dice = prop::collection::vec(any::<u8>(), 0..400).prop_map(Dice::new);
        (2..10_usize, rows, widest, dice).prop_map(|(batch_size, rows, widest, dice)| Self {
            batch_size,
            rows,
            widest,
            dice,
        })
    }
}

/// Decides what is left to chance. When it is used up, nothing fails any more.
#[derive(Clone, Debug)]
pub(super) struct Dice(std::vec::IntoIter<u8>);

impl Dice {
    fn new(rolls: Vec<u8>) -> Self {
        Self(rolls.into_iter())
    }

    /// Less than `sides`, and 0 when it is used up.
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        usize::from(self.0.next().unwrap_or_default()) % sides
    }

    /// Whether one of `sides` has come up that is not 0.
    pub(super) fn hits(&mut self, sides: usize) -> bool {
        self.roll(sides) == 1
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.0.len() == 0
    }
}
