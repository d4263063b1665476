//! Compares what the books say about one order. No I/O.

use std::{collections::BTreeMap, ops::RangeInclusive};

use chrono::{DateTime, TimeDelta, Utc};
use shop_client::{ChargeState, NoticeState, Order, PaymentState, ReservationState};
use shop_core::{Currency, Money, OrderId, OrderStatus};

use super::{
    disagreement::{About, Disagreement},
    entry::{Entry, Lines, lines},
};

/// What else has to be known to judge an order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// The time.
    pub(super) now: DateTime<Utc>,
    /// How long an order may be pending.
    pub(super) pending: TimeDelta,
    /// Whether the provider's books could be read.
    pub(super) charges: bool,
}

/// The events that customers are written to about.
const TOLD: [&str; 6] = [
    "order_created",
    "order_confirmed",
    "order_shipped",
    "order_delivered",
    "order_cancelled",
    "payment_refunded",
];
/// The channel on which every customer is written to.
const EMAIL: &str = "email";

/// Everything that the books do not agree about in the order `id`.
pub(super) fn disagreements(id: OrderId, entry: &Entry, rules: &Rules) -> Vec<Disagreement> {
    let mut audit = Audit { id, entry, rules, found: Vec::new() };
    match &entry.order {
        Some(order) => audit.order(order),
        None => audit.nothing_without_an_order(),
    }
    audit.found
}

struct Audit<'a> {
    id: OrderId,
    entry: &'a Entry,
    rules: &'a Rules,
    found: Vec<Disagreement>,
}

impl Audit<'_> {
    fn tell(&mut self, expected: impl Into<String>, found: impl Into<String>) {
        let (expected, found) = (expected.into(), found.into());
        self.found.push(Disagreement { about: About::Order(self.id), expected, found });
    }

    fn nothing_without_an_order(&mut self) {
        let Entry { reservations, payments, charges, notices, .. } = self.entry;
        for (what, count) in [
            ("reservation", reservations.len()),
            ("payment", payments.len()),
            ("charge", charges.len()),
            ("message", notices.len()),
        ] {
            if count > 0 {
                self.tell(format!("an order for its {what}"), "none");
            }
        }
    }

    fn order(&mut self, order: &Order) {
        self.nothing_twice();
        match order.status {
            Some(OrderStatus::Pending) => self.not_pending_for_long(order),
            Some(OrderStatus::Confirmed | OrderStatus::Shipped | OrderStatus::Delivered) => {
                self.sold(order);
                self.paid(order);
                self.written_to(order);
            }
            Some(OrderStatus::Cancelled) => {
                self.given_back();
                self.refunded(order);
                self.written_to(order);
            }
            None => self.tell("a status that this program knows", "another one"),
        }
    }

    /// A redelivered event may not have had its effect twice.
    fn nothing_twice(&mut self) {
        let Entry { reservations, payments, charges, notices, .. } = self.entry;
        let taken = charges.iter().filter(|charge| charge.state != ChargeState::Declined).count();
        for (what, count) in
            [("reservation", reservations.len()), ("payment", payments.len()), ("charge", taken)]
        {
            if count > 1 {
                self.tell(format!("at most one {what}"), count.to_string());
            }
        }
        let mut told: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for notice in notices {
            *told.entry((&notice.channel, &notice.event_type)).or_default() += 1;
        }
        for ((channel, event), count) in told.into_iter().filter(|(_, count)| *count > 1) {
            self.tell(format!("at most one message by {channel} about {event}"), count.to_string());
        }
    }

    fn not_pending_for_long(&mut self, order: &Order) {
        let pending = self.rules.now - order.created_at;
        if pending > self.rules.pending {
            self.tell(
                format!("to be settled within {} s", self.rules.pending.num_seconds()),
                format!("pending for {} s", pending.num_seconds()),
            );
        }
    }

    fn sold(&mut self, order: &Order) {
        if self.entry.reservations.is_empty() {
            self.tell("a sold reservation", "none");
        }
        let ordered = lines(order.items.iter().map(|item| (item.product_id, item.quantity)));
        for reservation in &self.entry.reservations {
            if reservation.state != ReservationState::Sold {
                self.tell("a sold reservation", format!("a {} one", kept(reservation.state)));
            }
            let reserved = lines(reservation.items.iter().map(|item| (item.product_id, item.quantity)));
            if reserved != ordered {
                self.tell(
                    format!("a reservation of {}", written(&ordered)),
                    format!("one of {}", written(&reserved)),
                );
            }
        }
    }

    fn paid(&mut self, order: &Order) {
        if self.entry.payments.is_empty() {
            self.tell("a processed payment", "none");
        }
        for payment in &self.entry.payments {
            if payment.state != PaymentState::Processed {
                self.tell("a processed payment", format!("a {} one", paid(payment.state)));
            }
        }
        if self.rules.charges {
            let charged = self.entry.charges.iter().filter(|charge| charge.state == ChargeState::Charged);
            if charged.count() == 0 {
                let refunded = self.entry.charges.iter().any(|charge| charge.state == ChargeState::Refunded);
                self.tell("a charge", if refunded { "a refunded one" } else { "none" });
            }
        }
        self.amounts(order);
    }

    /// A cancelled order holds nothing, and nothing was sold with it.
    fn given_back(&mut self) {
        for reservation in &self.entry.reservations {
            if matches!(reservation.state, ReservationState::Reserved | ReservationState::Sold) {
                self.tell("no stock to be held", format!("a {} reservation", kept(reservation.state)));
            }
        }
    }

    fn refunded(&mut self, order: &Order) {
        for payment in &self.entry.payments {
            if matches!(
                payment.state,
                PaymentState::Pending | PaymentState::Processed | PaymentState::Refunding
            ) {
                self.tell("no payment or a refunded one", format!("a {} one", paid(payment.state)));
            }
        }
        if self.rules.charges {
            self.charges_of_a_cancelled_order();
        }
        self.amounts(order);
    }

    fn charges_of_a_cancelled_order(&mut self) {
        let count = |state| self.entry.charges.iter().filter(|charge| charge.state == state).count();
        let (charged, given_back) = (count(ChargeState::Charged), count(ChargeState::Refunded));
        let refunded = self.entry.payments.iter().any(|payment| payment.state == PaymentState::Refunded);
        if charged > 0 {
            self.tell("no charge that is not refunded", charged.to_string());
        }
        if refunded && charged + given_back == 0 {
            self.tell("a refunded charge, as there is a refunded payment", "none");
        }
        if given_back > 0 && !refunded {
            self.tell("a refunded payment, as there is a refunded charge", "none");
        }
    }

    /// What is paid and charged is what the order costs, and the customer's own.
    fn amounts(&mut self, order: &Order) {
        let price = |amount: Money, currency: Currency| format!("{amount} {currency}");
        let costs = price(order.total_amount, order.currency);
        for payment in &self.entry.payments {
            let amount = price(payment.amount, payment.currency);
            if amount != costs {
                self.tell(format!("a payment of {costs}"), format!("one of {amount}"));
            }
            if payment.customer_email != order.customer_email {
                self.tell("a payment of the order's customer", "one of another address");
            }
        }
        let taken = self.entry.charges.iter().filter(|charge| charge.state != ChargeState::Declined);
        let amounts: Vec<String> = taken.map(|charge| price(charge.amount, charge.currency)).collect();
        for amount in amounts.into_iter().filter(|amount| *amount != costs) {
            self.tell(format!("a charge of {costs}"), format!("one of {amount}"));
        }
    }

    fn written_to(&mut self, order: &Order) {
        let mails: Vec<_> = self.entry.notices.iter().filter(|notice| notice.channel == EMAIL).collect();
        for event in TOLD {
            let expected = self.expected(order.status, event);
            let count = mails.iter().filter(|mail| mail.event_type == event).count();
            // More than one has been reported.
            if count < *expected.start() || (*expected.end() == 0 && count > 0) {
                self.tell(format!("{} about {event}", mails_in_words(*expected.start())), count.to_string());
            }
        }
        let elsewhere = |to: &str| to != order.customer_email;
        if mails.iter().any(|mail| mail.state == NoticeState::Sent && elsewhere(&mail.to)) {
            self.tell("mails to the order's customer", "one to another address");
        }
    }

    /// How many mails there must be about `event` when the order is settled.
    fn expected(&self, status: Option<OrderStatus>, event: &str) -> RangeInclusive<usize> {
        use OrderStatus::{Cancelled, Confirmed, Delivered, Shipped};

        let exactly = |there: bool| usize::from(there)..=usize::from(there);
        let Some(status) = status else { return 0..=1 };
        match event {
            "order_created" => 1..=1,
            // It may have been confirmed before it was cancelled.
            "order_confirmed" if status == Cancelled => 0..=1,
            "order_confirmed" => exactly(matches!(status, Confirmed | Shipped | Delivered)),
            "order_shipped" => exactly(matches!(status, Shipped | Delivered)),
            "order_delivered" => exactly(status == Delivered),
            "order_cancelled" => exactly(status == Cancelled),
            _ => {
                let refunded = |state| state == PaymentState::Refunded;
                exactly(self.entry.payments.iter().any(|payment| refunded(payment.state)))
            }
        }
    }
}

fn mails_in_words(count: usize) -> &'static str {
    if count == 0 { "no mail" } else { "one mail" }
}

/// `2 of product 1, 1 of product 7`
fn written(lines: &Lines) -> String {
    let lines: Vec<String> =
        lines.iter().map(|(product, quantity)| format!("{quantity} of product {product}")).collect();
    lines.join(", ")
}

fn kept(state: ReservationState) -> &'static str {
    match state {
        ReservationState::Reserved => "reserved",
        ReservationState::Sold => "sold",
        ReservationState::Released => "released",
        ReservationState::Rejected => "rejected",
    }
}

fn paid(state: PaymentState) -> &'static str {
    match state {
        PaymentState::Pending => "pending",
        PaymentState::Processed => "processed",
        PaymentState::Failed => "failed",
        PaymentState::Cancelled => "cancelled",
        PaymentState::Refunding => "refunding",
        PaymentState::Refunded => "refunded",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    const ID: &str = "0198f000-0000-7000-8000-000000000001";

    fn now() -> DateTime<Utc> {
        "2026-08-01T12:10:00Z".parse().unwrap()
    }

    fn rules() -> Rules {
        Rules { now: now(), pending: TimeDelta::seconds(60), charges: true }
    }

    fn reservation(state: &str) -> Value {
        json!({ "order_id": ID, "state": state, "reserved_until": null,
                "items": [{ "product_id": 2, "quantity": 1 }, { "product_id": 1, "quantity": 2 }] })
    }

    fn payment(state: &str) -> Value {
        json!({ "id": ID, "order_id": ID, "customer_email": "a@example.com", "amount": 25.5, "currency": "RUB",
                "state": state, "provider": "simulated", "attempts": 1 })
    }

    fn charge(state: &str) -> Value {
        json!({ "idempotency_key": "k", "order_id": ID, "amount": 25.5, "currency": "RUB", "state": state })
    }

    fn mail(event: &str) -> Value {
        json!({ "id": ID, "order_id": ID, "event_type": event, "channel": "email", "to": "a@example.com",
                "state": "sent" })
    }

    fn list<T: serde::de::DeserializeOwned>(of: &[Value]) -> Vec<T> {
        of.iter().map(|value| from_value(value.clone()).unwrap()).collect()
    }

    fn entry(status: &str, books: [&[Value]; 4]) -> Entry {
        let line = |product, quantity| json!({ "product_id": product, "name": "x", "quantity": quantity, "price": 8.5 });
        let order = json!({ "id": ID, "customer_email": "a@example.com", "total_amount": 25.5, "currency": "RUB",
                            "status": status, "items": [line(1, 2), line(2, 1)], "created_at": "2026-08-01T12:00:00Z" });
        Entry {
            order: Some(from_value(order).unwrap()),
            reservations: list(books[0]),
            payments: list(books[1]),
            charges: list(books[2]),
            notices: list(books[3]),
        }
    }

    fn confirmed() -> Entry {
        let mails = [mail("order_created"), mail("order_confirmed")];
        entry("confirmed", [&[reservation("sold")], &[payment("processed")], &[charge("charged")], &mails])
    }

    /// Confirmed first, then cancelled.
    fn cancelled() -> Entry {
        let mails = ["order_created", "order_confirmed", "order_cancelled", "payment_refunded"].map(mail);
        entry(
            "cancelled",
            [&[reservation("released")], &[payment("refunded")], &[charge("refunded")], &mails],
        )
    }

    fn told(entry: &Entry) -> Vec<String> {
        let id = ID.parse().unwrap();
        let found = disagreements(id, entry, &rules());
        let prefix = format!("order {ID}: ");
        found.iter().map(|one| one.to_string().strip_prefix(&prefix).unwrap().to_owned()).collect()
    }

    #[test]
    fn books_that_agree_are_not_complained_about() {
        assert_eq!(told(&confirmed()), [""; 0]);
        assert_eq!(told(&cancelled()), [""; 0]);
        let mails = ["order_created", "order_confirmed", "order_shipped", "order_delivered"].map(mail);
        let delivered = entry(
            "delivered",
            [&[reservation("sold")], &[payment("processed")], &[charge("charged")], &mails],
        );
        assert_eq!(told(&delivered), [""; 0]);
        let mails = ["order_created", "order_cancelled"].map(mail);
        for (reservations, payments, charges) in [
            (&[reservation("rejected")][..], &[][..], &[][..]),
            (&[][..], &[][..], &[][..]),
            (&[reservation("released")], &[payment("failed")], &[charge("declined")]),
            (&[reservation("released")], &[payment("cancelled")], &[]),
        ] {
            assert_eq!(told(&entry("cancelled", [reservations, payments, charges, &mails])), [""; 0]);
        }
    }

    #[test]
    fn an_order_is_not_pending_for_long() {
        let pending = entry("pending", [&[], &[], &[], &[]]);
        assert_eq!(told(&pending), ["expected to be settled within 60 s, found pending for 600 s"]);
        let patient = Rules { pending: TimeDelta::seconds(600), ..rules() };
        assert!(disagreements(ID.parse().unwrap(), &pending, &patient).is_empty());
    }

    #[test]
    fn a_confirmed_order_is_sold_paid_for_and_written_about() {
        for (break_it, expected) in [
            (
                Box::new(|e: &mut Entry| e.reservations.clear()) as Box<dyn Fn(&mut Entry)>,
                "a sold reservation, found none",
            ),
            (
                Box::new(|e| e.reservations = list(&[reservation("reserved")])),
                "a sold reservation, found a reserved one",
            ),
            (
                Box::new(|e| e.reservations = list(&[reservation("released")])),
                "a sold reservation, found a released one",
            ),
            (Box::new(|e| e.payments.clear()), "a processed payment, found none"),
            (
                Box::new(|e| e.payments = list(&[payment("pending")])),
                "a processed payment, found a pending one",
            ),
            (Box::new(|e| e.charges.clear()), "a charge, found none"),
            (Box::new(|e| e.charges = list(&[charge("refunded")])), "a charge, found a refunded one"),
            (Box::new(|e| e.charges = list(&[charge("declined")])), "a charge, found none"),
            (Box::new(|e| drop(e.notices.remove(1))), "one mail about order_confirmed, found 0"),
            (Box::new(|e| drop(e.notices.remove(0))), "one mail about order_created, found 0"),
            (
                Box::new(|e| e.notices.extend(list(&[mail("order_cancelled")]))),
                "no mail about order_cancelled, found 1",
            ),
            (
                Box::new(|e| e.notices.extend(list(&[mail("payment_refunded")]))),
                "no mail about payment_refunded, found 1",
            ),
        ] {
            let mut entry = confirmed();
            break_it(&mut entry);
            assert_eq!(told(&entry), [format!("expected {expected}")]);
        }
    }

    #[test]
    fn lines_amounts_and_addresses_are_the_orders() {
        let mut one = confirmed();
        one.reservations[0].items[0].quantity = 3;
        assert_eq!(
            told(&one),
            [
                "expected a reservation of 2 of product 1, 1 of product 2, found one of 2 of product 1, 3 of product 2"
            ]
        );
        let mut one = confirmed();
        one.payments[0].amount = "25.49".parse().unwrap();
        assert_eq!(told(&one), ["expected a payment of 25.50 RUB, found one of 25.49 RUB"]);
        let mut one = confirmed();
        one.payments[0].customer_email = "b@example.com".to_owned();
        assert_eq!(told(&one), ["expected a payment of the order's customer, found one of another address"]);
        let mut one = confirmed();
        one.charges[0].currency = "EUR".parse().unwrap();
        assert_eq!(told(&one), ["expected a charge of 25.50 RUB, found one of 25.50 EUR"]);
        let mut one = confirmed();
        one.notices[0].to = "b@example.com".to_owned();
        assert_eq!(told(&one), ["expected mails to the order's customer, found one to another address"]);
    }

    #[test]
    fn nothing_happens_twice() {
        for (repeat, expected) in [
            (
                Box::new(|e: &mut Entry| e.reservations.extend(list(&[reservation("sold")])))
                    as Box<dyn Fn(&mut Entry)>,
                "at most one reservation, found 2",
            ),
            (Box::new(|e| e.payments.extend(list(&[payment("processed")]))), "at most one payment, found 2"),
            (Box::new(|e| e.charges.extend(list(&[charge("charged")]))), "at most one charge, found 2"),
            (Box::new(|e| e.charges.extend(list(&[charge("refunded")]))), "at most one charge, found 2"),
            (
                Box::new(|e| e.notices.extend(list(&[mail("order_confirmed")]))),
                "at most one message by email about order_confirmed, found 2",
            ),
        ] {
            let mut entry = confirmed();
            repeat(&mut entry);
            assert_eq!(told(&entry), [format!("expected {expected}")]);
        }
        let mut telegram = confirmed();
        telegram.notices.extend(list(&[json!({ "order_id": ID, "event_type": "order_confirmed",
            "channel": "telegram", "to": "42", "state": "sent" })]));
        assert_eq!(told(&telegram), [""; 0], "once by each channel");
    }

    #[test]
    fn a_cancelled_order_keeps_nothing() {
        for (break_it, expected) in [
            (
                Box::new(|e: &mut Entry| e.reservations = list(&[reservation("sold")]))
                    as Box<dyn Fn(&mut Entry)>,
                "no stock to be held, found a sold reservation",
            ),
            (
                Box::new(|e| e.reservations = list(&[reservation("reserved")])),
                "no stock to be held, found a reserved reservation",
            ),
            (Box::new(|e| drop(e.notices.remove(2))), "one mail about order_cancelled, found 0"),
            (Box::new(|e| drop(e.notices.remove(3))), "one mail about payment_refunded, found 0"),
            (
                Box::new(|e| e.charges.clear()),
                "a refunded charge, as there is a refunded payment, found none",
            ),
            (Box::new(|e| e.charges = list(&[charge("charged")])), "no charge that is not refunded, found 1"),
        ] {
            let mut entry = cancelled();
            break_it(&mut entry);
            assert_eq!(told(&entry), [format!("expected {expected}")]);
        }
        let mut unpaid = cancelled();
        unpaid.payments = list(&[payment("processed")]);
        assert_eq!(
            told(&unpaid),
            [
                "expected no payment or a refunded one, found a processed one",
                "expected a refunded payment, as there is a refunded charge, found none",
                "expected no mail about payment_refunded, found 1",
            ]
        );
    }

    #[test]
    fn without_the_providers_books_charges_are_not_judged() {
        let mut entry = confirmed();
        entry.charges.clear();
        let blind = Rules { charges: false, ..rules() };
        assert!(disagreements(ID.parse().unwrap(), &entry, &blind).is_empty());
    }

    #[test]
    fn whatever_has_no_order_is_named() {
        let entry = Entry { order: None, ..confirmed() };
        let expected = ["reservation", "payment", "charge", "message"];
        assert_eq!(
            told(&entry),
            expected.map(|what| format!("expected an order for its {what}, found none"))
        );
    }
}
