//! Checks, when everything works again, what has become of every order.

use std::collections::HashSet;

use shop_core::OrderId;
use shop_load::books::{self, Verdict};
use sqlx::Connection as _;
use uuid::Uuid;

use super::place::{Place, admin};

/// How long events may take to reach their ends after the last fault, in seconds.
const SETTLE: u32 = 150;
/// How many are named one by one, before they are only counted.
const NAMED: usize = 10;

/// What the books say, and what they should not.
pub(crate) struct Found {
    pub(crate) verdict: Verdict,
    /// Empty if all promises were kept.
    pub(crate) violations: Vec<String>,
}

/// Waits until the books agree, and compares them with what customers were told.
pub(crate) async fn audit(place: &Place, told: &[OrderId]) -> anyhow::Result<Found> {
    let arguments = books::Arguments {
        pending_seconds: 0,
        settle_seconds: SETTLE,
        most_orders: 50_000,
        json: false,
        shop: place.addresses.clone(),
        admin: admin()?,
    };
    let verdict = books::check(&arguments).await?;
    let mut violations: Vec<String> = verdict.named.iter().take(NAMED).map(ToString::to_string).collect();
    if verdict.disagreements > violations.len() {
        violations.push(format!("and {} more disagreements", verdict.disagreements - violations.len()));
    }
    violations.extend(differences(told, &orders_there(place).await?));
    Ok(Found { verdict, violations })
}

async fn orders_there(place: &Place) -> anyhow::Result<HashSet<OrderId>> {
    let mut database = place.database().await?;
    let ids: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM orders.orders").fetch_all(&mut database).await?;
    database.close().await?;
    Ok(ids.into_iter().map(OrderId).collect())
}

/// What was answered with 201 is there. What was never answered may be there, because its shopper gave up: it is settled all the same.
fn differences(told: &[OrderId], there: &HashSet<OrderId>) -> Vec<String> {
    let distinct: HashSet<OrderId> = told.iter().copied().collect();
    let mut differences = Vec::new();
    let lost = distinct.difference(there).count();
    if lost > 0 {
        differences.push(format!("{lost} orders were answered with 201 and are not there"));
    }
    if distinct.len() < told.len() {
        differences.push(format!("{} shoppers were given an order of another", told.len() - distinct.len()));
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_that_was_answered_is_there_and_belongs_to_one_shopper() {
        let [one, other] = [1, 2].map(|number| OrderId(Uuid::from_u128(number)));
        let there = HashSet::from([one, other]);
        assert!(differences(&[one, other], &there).is_empty());
        assert!(differences(&[one], &there).is_empty(), "its shopper gave up");
        let lost = OrderId(Uuid::from_u128(3));
        assert_eq!(differences(&[one, lost], &there), ["1 orders were answered with 201 and are not there"]);
        assert_eq!(differences(&[one, one], &there), ["1 shoppers were given an order of another"]);
    }
}
