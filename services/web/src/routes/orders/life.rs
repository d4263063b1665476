//! An order's life in the visitor's words.

use chrono::{DateTime, Utc};
use shop_client::{Happening, Order, Step};
use shop_core::{OrderStatus, events::CancellationCode};

use crate::i18n::Texts;

/// An entry of the timeline.
pub(super) struct Moment {
    pub(super) at: DateTime<Utc>,
    pub(super) text: &'static str,
    /// The end of its class: `good`, `bad` or `plain`.
    pub(super) kind: &'static str,
}

/// A stage on the way from the order to the parcel.
pub(super) struct Stage {
    pub(super) text: &'static str,
    /// The end of its class: `done`, `now`, `off` or `next`.
    pub(super) kind: &'static str,
    /// The last one that was reached.
    pub(super) is_current: bool,
}

/// What has happened, the oldest first. What only a newer order_service knows is left out.
pub(super) fn timeline(t: &Texts, order: &Order) -> Vec<Moment> {
    order.timeline.iter().filter_map(|step| moment(t, step)).collect()
}

fn moment(t: &Texts, step: &Step) -> Option<Moment> {
    let (text, kind) = match step.event {
        Happening::Placed => (t.happened_placed, "plain"),
        Happening::StockReserved => (t.happened_stock_reserved, "plain"),
        Happening::PaymentProcessed => (t.happened_payment_processed, "plain"),
        Happening::Confirmed => (t.happened_confirmed, "good"),
        Happening::Cancelled => (t.happened_cancelled, "bad"),
        Happening::PaymentRefunded => (t.happened_payment_refunded, "plain"),
        Happening::Shipped => (t.happened_shipped, "good"),
        Happening::Delivered => (t.happened_delivered, "good"),
        Happening::Other => return None,
    };
    Some(Moment { at: step.at, text, kind })
}

/// The stages of the order, reached or not. A cancelled order ends where it was cancelled.
pub(super) fn stages(t: &Texts, order: &Order) -> Vec<Stage> {
    let names = [t.step_placed, t.step_confirmed, t.step_shipped, t.step_delivered];
    let reached = match order.status {
        Some(OrderStatus::Cancelled) => 1 + usize::from(happened(order, Happening::Confirmed)),
        Some(OrderStatus::Confirmed) => 2,
        Some(OrderStatus::Shipped) => 3,
        Some(OrderStatus::Delivered) => 4,
        Some(OrderStatus::Pending) | None => 1,
    };
    let mut stages: Vec<Stage> = names
        .into_iter()
        .enumerate()
        .map(|(number, text)| {
            let kind = match number {
                number if number < reached => "done",
                number if number == reached => "now",
                _ => "next",
            };
            Stage { text, kind, is_current: number + 1 == reached }
        })
        .collect();
    if order.status == Some(OrderStatus::Cancelled) {
        stages.truncate(reached);
        stages.iter_mut().for_each(|stage| stage.is_current = false);
        stages.push(Stage { text: t.step_cancelled, kind: "off", is_current: true });
    }
    stages
}

/// Why the order was cancelled, and what became of the money; nothing for any other order. An administrator reads of the customer.
pub(super) fn cancellation(t: &Texts, order: &Order, to_admin: bool) -> Vec<&'static str> {
    if order.status != Some(OrderStatus::Cancelled) {
        return Vec::new();
    }
    let code = order.cancellation.as_ref().map_or(CancellationCode::Unspecified, |cancelled| cancelled.code);
    let reason = match code {
        CancellationCode::ByCustomer if to_admin => t.reason_by_the_customer,
        CancellationCode::ByCustomer => t.reason_by_customer,
        CancellationCode::ByShop => t.reason_by_shop,
        CancellationCode::OutOfStock => t.reason_out_of_stock,
        CancellationCode::PaymentDeclined => t.reason_payment_declined,
        CancellationCode::PaymentUnavailable => t.reason_payment_unavailable,
        CancellationCode::TimedOut => t.reason_timed_out,
        CancellationCode::Unspecified => t.status_cancelled_explained,
    };
    let money = if happened(order, Happening::PaymentRefunded) {
        Some(t.money_returned)
    } else {
        happened(order, Happening::PaymentProcessed).then_some(t.money_returns)
    };
    [reason].into_iter().chain(money).collect()
}

fn happened(order: &Order, what: Happening) -> bool {
    order.timeline.iter().any(|step| step.event == what)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shop_core::Language;

    use super::*;

    fn order(status: &str, timeline: &[&str], code: Option<&str>) -> Order {
        let timeline: Vec<Value> = timeline
            .iter()
            .enumerate()
            .map(|(seq, event)| json!({ "seq": seq, "at": "2026-01-02T03:04:05Z", "event": event }))
            .collect();
        serde_json::from_value(json!({
            "id": "01936f00-0000-7000-8000-00000000c0de", "customer_email": "user@example.com",
            "total_amount": 5.0, "currency": "RUB", "status": status, "items": [],
            "created_at": "2026-01-02T03:04:05Z", "timeline": timeline,
            "cancellation": code.map(|code| json!({ "code": code, "reason": "for the shop" })),
        }))
        .unwrap()
    }

    fn stages_of(order: &Order) -> String {
        let stages = stages(Texts::of(Language::English), order);
        let shown = |stage: &Stage| {
            format!("{}{} {}", if stage.is_current { ">" } else { "" }, stage.text, stage.kind)
        };
        stages.iter().map(shown).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn the_stages_follow_the_status() {
        for (status, timeline, expected) in [
            ("pending", &["placed"][..], ">Placed done, Confirmed now, Shipped next, Delivered next"),
            (
                "confirmed",
                &["placed", "confirmed"],
                "Placed done, >Confirmed done, Shipped now, Delivered next",
            ),
            ("shipped", &[], "Placed done, Confirmed done, >Shipped done, Delivered now"),
            ("delivered", &[], "Placed done, Confirmed done, Shipped done, >Delivered done"),
            ("cancelled", &["placed", "cancelled"], "Placed done, >Cancelled off"),
            (
                "cancelled",
                &["placed", "confirmed", "cancelled"],
                "Placed done, Confirmed done, >Cancelled off",
            ),
            ("returned", &[], ">Placed done, Confirmed now, Shipped next, Delivered next"),
        ] {
            assert_eq!(stages_of(&order(status, timeline, None)), expected, "{status}");
        }
    }

    #[test]
    fn every_reason_has_words_of_its_own_and_what_is_unknown_has_some() {
        let t = Texts::of(Language::Russian);
        let mut words: Vec<&str> = Vec::new();
        for code in [
            "by_customer",
            "by_shop",
            "out_of_stock",
            "payment_declined",
            "payment_unavailable",
            "timed_out",
            "by_weather",
        ] {
            words.push(cancellation(t, &order("cancelled", &[], Some(code)), false)[0]);
        }
        assert_eq!(words[6], t.status_cancelled_explained);
        assert_eq!(cancellation(t, &order("cancelled", &[], None), false), [t.status_cancelled_explained]);
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), 7);
        assert!(cancellation(t, &order("confirmed", &[], None), false).is_empty());
    }

    #[test]
    fn what_was_paid_is_said_to_come_back() {
        let t = Texts::of(Language::English);
        let told =
            |timeline: &[&str]| cancellation(t, &order("cancelled", timeline, Some("by_customer")), false);
        assert_eq!(told(&["placed", "cancelled"]), [t.reason_by_customer]);
        assert_eq!(told(&["payment_processed", "cancelled"]), [t.reason_by_customer, t.money_returns]);
        assert_eq!(
            told(&["payment_processed", "cancelled", "payment_refunded"]),
            [t.reason_by_customer, t.money_returned]
        );
        let by_customer = order("cancelled", &[], Some("by_customer"));
        assert_eq!(cancellation(t, &by_customer, true), [t.reason_by_the_customer], "to an administrator");
    }

    #[test]
    fn the_timeline_leaves_out_what_only_a_newer_service_knows() {
        let t = Texts::of(Language::English);
        let order = order("cancelled", &["placed", "wrapped", "cancelled"], None);
        let told: Vec<_> = timeline(t, &order).iter().map(|moment| (moment.text, moment.kind)).collect();
        assert_eq!(told, [(t.happened_placed, "plain"), (t.happened_cancelled, "bad")]);
    }
}
