use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::{disagreement::Disagreement, entry::Entry};

/// How many disagreements are named one by one; the rest is counted.
const MOST_NAMED: usize = 1000;

/// The outcome of an audit.
#[derive(Debug, Default, Serialize)]
pub struct Verdict {
    /// How many orders there are, by status.
    pub orders: BTreeMap<&'static str, usize>,
    /// How many reservations were compared.
    pub reservations: usize,
    /// How many payments.
    pub payments: usize,
    /// How many of the provider's charges.
    pub charges: usize,
    /// False if another provider than the simulated one charges, whose books cannot be asked for.
    pub charges_known: bool,
    /// How many messages to customers.
    pub notices: usize,
    /// How many products.
    pub products: usize,
    /// How many disagreements there are.
    pub disagreements: usize,
    /// They, or the first thousand of them.
    pub named: Vec<Disagreement>,
}

impl Verdict {
    /// Whether all books agree.
    pub fn agrees(&self) -> bool {
        self.disagreements == 0
    }

    /// How many orders have this status.
    pub fn orders_that_are(&self, status: &str) -> usize {
        self.orders.get(status).copied().unwrap_or_default()
    }

    pub(crate) fn count(&mut self, entry: &Entry) {
        if let Some(order) = &entry.order {
            *self.orders.entry(order.status.map_or("unknown", |status| status.as_str())).or_default() += 1;
        }
        self.reservations += entry.reservations.len();
        self.payments += entry.payments.len();
        self.charges += entry.charges.len();
        self.notices += entry.notices.len();
    }

    pub(crate) fn add(&mut self, disagreements: Vec<Disagreement>) {
        self.disagreements += disagreements.len();
        let room = MOST_NAMED - self.named.len();
        self.named.extend(disagreements.into_iter().take(room));
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count: usize = self.orders.values().sum();
        let by_status: Vec<String> =
            self.orders.iter().map(|(status, count)| format!("{count} {status}")).collect();
        let charges = if self.charges_known {
            format!("{} charges", self.charges)
        } else {
            "no charges, because the provider is not the simulated one".to_owned()
        };
        writeln!(
            f,
            "{count} orders ({}), {} reservations, {} payments, {charges}, {} messages, {} products",
            if by_status.is_empty() { "none".to_owned() } else { by_status.join(", ") },
            self.reservations,
            self.payments,
            self.notices,
            self.products,
        )?;
        if self.agrees() {
            return write!(f, "The books agree.");
        }
        for disagreement in &self.named {
            writeln!(f, "{disagreement}")?;
        }
        let unnamed = self.disagreements - self.named.len();
        if unnamed > 0 {
            writeln!(f, "and {unnamed} more")?;
        }
        write!(f, "Disagreements: {}", self.disagreements)
    }
}

#[cfg(test)]
mod tests {
    use shop_core::ProductId;

    use super::*;
    use crate::books::disagreement::About;

    fn disagreement() -> Disagreement {
        let (expected, found) = ("3".to_owned(), "4".to_owned());
        Disagreement { about: About::Product(ProductId(1)), expected, found }
    }

    #[test]
    fn a_verdict_counts_what_was_compared() {
        let verdict = Verdict {
            orders: BTreeMap::from([("cancelled", 1), ("confirmed", 2)]),
            reservations: 3,
            payments: 2,
            charges: 2,
            charges_known: true,
            notices: 6,
            products: 16,
            ..Verdict::default()
        };
        assert_eq!(
            verdict.to_string(),
            "3 orders (1 cancelled, 2 confirmed), 3 reservations, 2 payments, 2 charges, 6 messages, 16 products\n\
             The books agree."
        );
    }

    #[test]
    fn what_does_not_agree_is_named_up_to_a_limit() {
        let mut verdict = Verdict::default();
        verdict.add(vec![disagreement()]);
        assert!(!verdict.agrees());
        assert!(verdict.to_string().ends_with("product 1: expected 3, found 4\nDisagreements: 1"));
        verdict.add(vec![disagreement(); MOST_NAMED]);
        assert_eq!((verdict.named.len(), verdict.disagreements), (MOST_NAMED, MOST_NAMED + 1));
        assert!(verdict.to_string().contains("\nand 1 more\n"));
    }

    #[test]
    fn a_verdict_is_json_too() {
        let mut verdict = Verdict::default();
        verdict.add(vec![disagreement()]);
        let json = serde_json::to_value(&verdict).unwrap();
        assert_eq!(json["named"][0], serde_json::json!({ "product": 1, "expected": "3", "found": "4" }));
    }
}
