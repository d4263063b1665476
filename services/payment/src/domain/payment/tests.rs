use shop_core::events::OrderedItem;
use uuid::Uuid;

use super::*;

pub(super) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

/// Opened at 0, given up at 600.
pub(super) fn payment() -> Payment {
    let reserved = StockReserved {
        order_id: OrderId(Uuid::from_u128(1)),
        customer_email: "buyer@example.com".parse().unwrap(),
        total_amount: Money::from_minor(50_000).unwrap(),
        currency: Currency::RUB,
        items: Vec::<OrderedItem>::new(),
        reserved_until: at(1800),
    };
    Payment::open(reserved, PaymentId(Uuid::from_u128(2)), "simulated", TimeDelta::seconds(600), at(0))
}

fn charged() -> Result<Verdict, CallError> {
    Ok(Verdict::Charged { reference: "ch_1".to_owned() })
}

fn unknown() -> Result<Verdict, CallError> {
    Err(CallError::Unknown("no answer in time".to_owned()))
}

fn not_done() -> Result<Verdict, CallError> {
    Err(CallError::NotDone("connection refused".to_owned()))
}

/// Makes the next call, which has to be `call`.
#[track_caller]
fn makes(
    payment: &mut Payment,
    call: Call,
    outcome: Result<Verdict, CallError>,
    now: DateTime<Utc>,
) -> Vec<Announcement> {
    assert_eq!(payment.next(now), Next::Call(call));
    let doubt = payment.doubt;
    payment.begin(call, now);
    payment.conclude(call, doubt, outcome, now, TimeDelta::seconds(7))
}

#[test]
fn a_payment_is_charged_and_rests() {
    let mut payment = payment();
    let events = makes(&mut payment, Call::Charge, charged(), at(1));
    assert!(matches!(&events[..], [Announcement::Processed(event)] if event.amount == payment.amount));
    assert_eq!((payment.state, payment.version, payment.due_at), (State::Processed, 1, None));
    assert_eq!(payment.next(at(9999)), Next::Rest);
}

#[test]
fn a_declined_one_fails_with_the_reason() {
    let mut payment = payment();
    let declined = Ok(Verdict::Declined { reason: "The card was declined.".to_owned() });
    let events = makes(&mut payment, Call::Charge, declined, at(1));
    let [Announcement::Failed(event)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((event.code, event.reason.as_str()), (PaymentFailure::Declined, "The card was declined."));
    assert_eq!((payment.state, payment.due_at), (State::Failed, None));
}

#[test]
fn an_unknown_outcome_is_asked_about_before_the_next_charge() {
    let mut payment = payment();
    assert_eq!(makes(&mut payment, Call::Charge, unknown(), at(1)), []);
    assert_eq!(payment.due_at, Some(at(8)));
    assert_eq!(makes(&mut payment, Call::Ask, unknown(), at(8)), []);
    assert_eq!(makes(&mut payment, Call::Ask, Ok(Verdict::Undecided), at(15)), []);
    assert_eq!(makes(&mut payment, Call::Ask, Ok(Verdict::Missing), at(22)), []);
    let key = payment.bill().idempotency_key;
    assert_eq!(payment.due_at, Some(at(22)), "at once");
    assert_eq!(makes(&mut payment, Call::Charge, charged(), at(22)).len(), 1);
    assert_eq!((payment.bill().idempotency_key, payment.attempts), (key, 5));
}

#[test]
fn after_a_crash_in_the_middle_of_a_charge_the_provider_is_asked() {
    let mut payment = payment();
    payment.begin(Call::Charge, at(1));
    assert_eq!(payment.next(at(40)), Next::Call(Call::Ask));
}

#[test]
fn a_call_that_was_not_taken_leaves_no_doubt() {
    let mut payment = payment();
    assert_eq!(makes(&mut payment, Call::Charge, not_done(), at(1)), []);
    assert_eq!(payment.doubt, Doubt::None);
    let misconfigured = Err(CallError::Misconfigured("the key was refused".to_owned()));
    assert_eq!(makes(&mut payment, Call::Charge, misconfigured, at(8)), []);
    assert_eq!(payment.next(at(599)), Next::Call(Call::Charge));
    assert_eq!(payment.next(at(600)), Next::EndUncharged);
    let Some(Announcement::Failed(event)) = payment.end_uncharged(at(600)) else { panic!() };
    assert_eq!(event.code, PaymentFailure::Unavailable);
}

#[test]
fn a_doubtful_one_is_given_up_only_when_the_provider_refuses_to_charge_it() {
    let mut payment = payment();
    makes(&mut payment, Call::Charge, unknown(), at(1));
    for seconds in [600, 6000, 60_000] {
        assert_eq!(makes(&mut payment, Call::Void, not_done(), at(seconds)), []);
    }
    let mut charged_all_the_same = payment.clone();
    let events = makes(&mut payment, Call::Void, Ok(Verdict::Void), at(60_010));
    assert!(
        matches!(&events[..], [Announcement::Failed(event)] if event.code == PaymentFailure::Unavailable)
    );
    let events = makes(&mut charged_all_the_same, Call::Void, charged(), at(60_010));
    assert!(matches!(&events[..], [Announcement::Processed(_)]), "{events:?}");
}

#[test]
fn no_charge_begins_after_the_reservation_has_ended() {
    let mut payment = payment();
    payment.give_up_at = at(30);
    assert_eq!(payment.next(at(30)), Next::EndUncharged);
}

#[test]
fn a_payment_that_was_cancelled_before_its_charge_announces_nothing() {
    let mut payment = payment();
    payment.cancel(at(1));
    assert_eq!((payment.state, payment.version, payment.due_at), (State::Cancelled, 0, None));
    let mut asked = self::payment();
    makes(&mut asked, Call::Charge, unknown(), at(1));
    asked.cancel(at(2));
    assert_eq!(asked.due_at, Some(at(2)), "at once");
    assert_eq!(makes(&mut asked, Call::Void, Ok(Verdict::Void), at(2)), []);
    assert_eq!(asked.state, State::Cancelled);
}

#[test]
fn a_charge_that_was_under_way_when_its_order_was_cancelled_is_refunded() {
    let mut payment = payment();
    payment.begin(Call::Charge, at(1));
    payment.cancel(at(2));
    assert_eq!(payment.state, State::Pending);
    let events = payment.conclude(Call::Charge, Doubt::None, charged(), at(3), TimeDelta::seconds(7));
    assert!(matches!(&events[..], [Announcement::Processed(_)]));
    assert_eq!((payment.state, payment.due_at), (State::Refunding, Some(at(3))));
    assert_eq!(makes(&mut payment, Call::Refund, not_done(), at(3)), []);
    let events = makes(&mut payment, Call::Refund, Ok(Verdict::Refunded), at(10));
    assert!(matches!(&events[..], [Announcement::Refunded(_)]));
    assert_eq!((payment.state, payment.version), (State::Refunded, 2));
}

#[test]
fn a_processed_payment_is_refunded_once_however_often_its_order_is_cancelled() {
    let mut payment = payment();
    makes(&mut payment, Call::Charge, charged(), at(1));
    payment.cancel(at(2));
    payment.cancel(at(3));
    assert_eq!(payment.due_at, Some(at(2)));
    makes(&mut payment, Call::Refund, Ok(Verdict::Refunded), at(3));
    payment.cancel(at(4));
    assert_eq!((payment.state, payment.version, payment.due_at), (State::Refunded, 2, None));
}

#[test]
fn names_are_read_back() {
    for state in
        [State::Pending, State::Processed, State::Failed, State::Cancelled, State::Refunding, State::Refunded]
    {
        assert_eq!(state.to_string().parse::<State>().unwrap(), state);
    }
    assert!("paid".parse::<State>().is_err());
}
