//! Which updates are confirmed. Pure.
//!
//! The Bot API drops all updates before the offset of a `getUpdates`, and repeats the others with every call. So the offset passes
//! an update only when the update has been handled, and a crash loses none. Updates that were handled while an older one was not
//! are repeated by the Bot API, and skipped here.

use std::collections::BTreeMap;

/// The updates from the first that is not handled to the last that was received.
#[derive(Debug, Default)]
pub(crate) struct Window {
    answered: BTreeMap<u32, bool>,
    offset: i32,
}

impl Window {
    /// Notes that an update was received; returns `false` if it is known already.
    pub(crate) fn receive(&mut self, id: u32) -> bool {
        if self.answered.contains_key(&id) {
            return false;
        }
        self.answered.insert(id, false);
        true
    }

    /// Notes that an update was handled.
    pub(crate) fn answer(&mut self, id: u32) {
        self.answered.insert(id, true);
        if let Some(next) = self.first_open().or_else(|| Some(self.answered.last_key_value()?.0 + 1)) {
            self.offset = i32::try_from(next).unwrap_or(i32::MAX);
        }
    }

    /// The offset that confirms everything that may be confirmed.
    pub(crate) fn offset(&self) -> i32 {
        self.offset
    }

    /// Notes that a `getUpdates` with this offset was carried out: the Bot API has dropped what is before it.
    pub(crate) fn confirmed(&mut self, offset: i32) {
        self.answered.retain(|id, _| i64::from(*id) >= i64::from(offset));
    }

    /// Whether every received update has been handled.
    pub(crate) fn is_idle(&self) -> bool {
        self.first_open().is_none()
    }

    /// Whether the Bot API will repeat nothing that was received.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.answered.is_empty()
    }

    fn first_open(&self) -> Option<u32> {
        self.answered.iter().find(|(_, answered)| !**answered).map(|(id, _)| *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_answered_is_confirmed() {
        let mut window = Window::default();
        assert_eq!(window.offset(), 0);
        assert!([10, 11, 12].into_iter().all(|id| window.receive(id)));
        window.answer(11);
        assert_eq!(window.offset(), 10, "the oldest is still open");
        assert!(!window.is_idle());
        window.answer(10);
        assert_eq!(window.offset(), 12);
        window.answer(12);
        assert_eq!(window.offset(), 13);
        assert!(window.is_idle());
    }

    #[test]
    fn a_repeated_update_is_known_until_it_is_confirmed() {
        let mut window = Window::default();
        assert!(window.receive(5) && window.receive(6));
        window.answer(6);
        assert!(!window.receive(5) && !window.receive(6));
        window.answer(5);
        assert!(!window.is_confirmed());
        window.confirmed(window.offset());
        assert!(window.is_confirmed());
        assert_eq!(window.offset(), 7, "the offset stays where it was");
        assert!(window.receive(3), "after a quiet week the Bot API starts its numbers anew");
        window.answer(3);
        assert_eq!(window.offset(), 4);
    }
}
