//! Which of the claimed rows are sent together: the oldest first, one of each aggregate.
//!
//! Two rows of one aggregate in flight at once could arrive in the wrong order: the broker may refuse the first and
//! accept the second. So the second waits until the first is confirmed.

use std::collections::{HashSet, VecDeque};

use crate::store::{Aggregate, Row};

/// Rows that are claimed and not yet sent, in order.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    rows: VecDeque<Row>,
}

impl Backlog {
    /// Adds newly claimed rows; a row that is already here is not added again.
    pub(super) fn extend(&mut self, claimed: Vec<Row>) {
        self.rows.extend(claimed);
        // A late commit can bring a lower id than those of waiting rows.
        self.rows.make_contiguous().sort_by_key(|row| row.id);
        let mut last = None;
        self.rows.retain(|row| last.replace(row.id) != Some(row.id));
    }

    /// Forgets all rows; they are claimed again from the database.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = i64> + '_ {
        self.rows.iter().map(|row| row.id)
    }

    /// Takes the next window: at most `count` rows and `bytes` of payload (one row always fits).
    pub(super) fn take_window(&mut self, count: usize, bytes: usize) -> Vec<Row> {
        let mut window = Vec::with_capacity(count.min(self.rows.len()));
        let mut waiting = VecDeque::new();
        let mut aggregates: HashSet<Aggregate> = HashSet::new();
        let mut size = 0;
        while let Some(row) = self.rows.pop_front() {
            let full =
                window.len() == count || (!window.is_empty() && size + row.message.payload.len() > bytes);
            if full {
                waiting.push_back(row);
                break;
            }
            // The aggregate of a waiting row is in the set too, so no later row overtakes it.
            if aggregates.insert(row.aggregate.clone()) {
                size += row.message.payload.len();
                window.push(row);
            } else {
                waiting.push_back(row);
            }
        }
        waiting.append(&mut self.rows);
        self.rows = waiting;
        window
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::row;

    fn backlog(rows: &[(i64, &str)]) -> Backlog {
        let mut backlog = Backlog::default();
        backlog.extend(rows.iter().map(|(id, aggregate)| row(*id, aggregate, 10)).collect());
        backlog
    }

    fn ids(window: &[Row]) -> Vec<i64> {
        window.iter().map(|row| row.id).collect()
    }

    #[test]
    fn a_window_holds_one_row_of_each_aggregate() {
        let mut backlog = backlog(&[(1, "a"), (2, "a"), (3, "b"), (4, "a"), (5, "b")]);
        assert_eq!(ids(&backlog.take_window(10, 1000)), [1, 3]);
        assert_eq!(ids(&backlog.take_window(10, 1000)), [2, 5]);
        assert_eq!(ids(&backlog.take_window(10, 1000)), [4]);
        assert_eq!(backlog.len(), 0);
    }

    #[test]
    fn a_window_is_bounded_in_rows_and_in_bytes() {
        let mut backlog = backlog(&[(1, "a"), (2, "b"), (3, "c"), (4, "d")]);
        assert_eq!(ids(&backlog.take_window(2, 1000)), [1, 2]);
        assert_eq!(ids(&backlog.take_window(2, 5)), [3], "one row always fits");
        assert_eq!(ids(&backlog.take_window(2, 5)), [4]);
    }

    #[test]
    fn a_late_row_goes_before_those_that_wait() {
        let mut backlog = backlog(&[(5, "a"), (7, "b")]);
        backlog.extend(vec![row(6, "c", 10), row(5, "a", 10)]);
        assert_eq!(ids(&backlog.take_window(10, 1000)), [5, 6, 7]);
    }
}
