//! What one at a time can hold within the process: the right to publish under a name, or to consume from an ordered queue.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

/// Which fences are held. Each has one holder at most.
#[derive(Debug, Default)]
pub(super) struct Fences(HashMap<String, Weak<()>>);

/// A fence, held while this lives.
#[derive(Debug)]
pub(super) struct Fence(#[expect(dead_code, reason = "held, not read")] Arc<()>);

impl Fences {
    /// Takes the fence `name`; `None` while somebody else holds it.
    pub(super) fn take(&mut self, name: &str) -> Option<Fence> {
        if self.0.get(name).is_some_and(|held| held.strong_count() > 0) {
            return None;
        }
        let fence = Arc::new(());
        self.0.insert(name.to_owned(), Arc::downgrade(&fence));
        Some(Fence(fence))
    }
}
