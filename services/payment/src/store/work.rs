//! What the workers do: claim payments that are due, and record how the calls for them ended.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
    sea_query::{LockBehavior, LockType},
};
use shop_core::Clock;
use shop_outbox::NewMessage;
use shop_runtime::{
    TraceParent,
    database::Transaction,
    events::{Aggregate, announcement},
};
use tracing::Instrument as _;
use uuid::Uuid;

use super::{Store, entity::payment, row};
use crate::{
    domain::{Announcement, Breaker, Call, CallError, Doubt, Next, Payment, Permit, Verdict},
    span,
};

/// How long a claimed payment is left to its worker: several times as long as a call may take.
pub(super) const LEASE: TimeDelta = TimeDelta::seconds(60);

/// How long a row is left alone that this release cannot read.
const UNREADABLE: TimeDelta = TimeDelta::minutes(10);

/// Who publishes the events.
const SOURCE: &str = "payment_service";

/// A call that a worker has to make: it is recorded that it has begun.
#[derive(Debug)]
pub(crate) struct Job {
    /// The payment when it was claimed.
    pub payment: Payment,
    /// The call.
    pub call: Call,
    /// The right to make it.
    pub permit: Option<Permit>,
    /// Where its span belongs.
    pub trace: TraceParent,
    /// When somebody else may take over. The call must not begin after that.
    pub leased_until: DateTime<Utc>,
    doubt: Doubt,
    lease: Uuid,
}

/// What was due.
#[derive(Debug, Default)]
pub(crate) struct Claimed {
    /// The calls to make.
    pub jobs: Vec<Job>,
    /// Payments that ended without a call.
    pub ended: Vec<Payment>,
    /// How many rows were looked at.
    pub seen: u64,
}

impl Store {
    /// Claims at most `limit` payments of `provider` that are due. Other workers skip them while they are locked or leased.
    pub(crate) async fn claim(
        &self,
        provider: &str,
        breaker: &Breaker,
        limit: u64,
    ) -> Result<Claimed, DbErr> {
        let claim = |transaction: Transaction| async move {
            let mut claimed = Claimed::default();
            for row in due(&transaction, provider, self.clock.now(), limit).await? {
                claimed.seen += 1;
                self.decide(&transaction, row, breaker, &mut claimed).await?;
            }
            transaction.commit().await?;
            Ok(claimed)
        };
        self.database.transaction(claim).await
    }

    /// Decides what is to be done about the payment in `row`, and records it.
    async fn decide(
        &self,
        transaction: &Transaction,
        row: payment::Model,
        breaker: &Breaker,
        claimed: &mut Claimed,
    ) -> Result<(), DbErr> {
        let now = self.clock.now();
        let (id, trace) = (row.id, TraceParent::from_stored(row.traceparent.clone()));
        let mut payment = match row::read(row) {
            Ok(payment) => payment,
            // It must not hold up all others.
            Err(error) => {
                tracing::error!(payment = %id, %error, "a payment cannot be read, and is left alone for a while");
                return postpone(transaction, id, now + UNREADABLE).await;
            }
        };
        let mut lease = None;
        match payment.next(now) {
            Next::Rest => payment.due_at = None,
            Next::EndUncharged => {
                let announced = payment.end_uncharged(now);
                let span = span::of("give up", &trace);
                self.append(transaction, &payment, announced.as_slice()).instrument(span).await?;
                claimed.ended.push(payment.clone());
            }
            Next::Call(call) => match breaker.permit(now) {
                Ok(permit) => {
                    let doubt = payment.doubt;
                    payment.begin(call, now);
                    let (id, leased_until) = (self.clock.new_id(), now + LEASE);
                    lease = Some((id, leased_until));
                    let payment = payment.clone();
                    claimed.jobs.push(Job {
                        payment,
                        call,
                        permit: Some(permit),
                        trace,
                        leased_until,
                        doubt,
                        lease: id,
                    });
                }
                Err(until) => payment.due_at = Some(until + spread(&payment)),
            },
        }
        let mut change = row::write(&payment);
        change.lease = Set(lease.map(|(id, _)| id));
        change.leased_until = Set(lease.map(|(_, until)| until));
        payment::Entity::update(change).exec_without_returning(transaction).await?;
        Ok(())
    }

    /// Records how a job's call ended, together with the events that announce it. Returns the payment, or `None` if somebody else has
    /// taken the job over: that one decides.
    pub(crate) async fn conclude(
        &self,
        job: &Job,
        outcome: &Result<Verdict, CallError>,
        pause: TimeDelta,
    ) -> Result<Option<Payment>, DbErr> {
        let conclude = |transaction: Transaction| async move {
            let found =
                payment::Entity::find_by_id(job.payment.id.0).lock_exclusive().one(&transaction).await?;
            let Some(found) = found.filter(|row| row.lease == Some(job.lease)) else { return Ok(None) };
            let mut payment = row::read(found)?;
            let announced = payment.conclude(job.call, job.doubt, outcome.clone(), self.clock.now(), pause);
            let mut change = row::write(&payment);
            (change.lease, change.leased_until) = (Set(None), Set(None));
            payment::Entity::update(change).exec_without_returning(&transaction).await?;
            self.append(&transaction, &payment, &announced).await?;
            transaction.commit().await?;
            Ok(Some(payment))
        };
        self.database.transaction(conclude).await
    }

    async fn append(
        &self,
        transaction: &impl ConnectionTrait,
        payment: &Payment,
        announced: &[Announcement],
    ) -> Result<(), DbErr> {
        for event in announced {
            let message = message(payment, event, &self.clock);
            let message = message.map_err(|error| DbErr::Json(error.to_string()))?;
            shop_outbox::append(transaction, &message).await?;
        }
        Ok(())
    }
}

/// So that not all payments that wait for the provider come back at the same moment: up to two seconds.
fn spread(payment: &Payment) -> TimeDelta {
    let [.., random] = *payment.id.0.as_bytes();
    TimeDelta::milliseconds(i64::from(random) * 8)
}

async fn postpone(transaction: &Transaction, id: Uuid, until: DateTime<Utc>) -> Result<(), DbErr> {
    let change = payment::ActiveModel { id: Set(id), due_at: Set(Some(until)), ..Default::default() };
    payment::Entity::update(change).exec_without_returning(transaction).await?;
    Ok(())
}

async fn due(
    transaction: &Transaction,
    provider: &str,
    now: DateTime<Utc>,
    limit: u64,
) -> Result<Vec<payment::Model>, DbErr> {
    let free = Condition::any()
        .add(payment::Column::LeasedUntil.is_null())
        .add(payment::Column::LeasedUntil.lte(now));
    payment::Entity::find()
        .filter(payment::Column::Provider.eq(provider))
        .filter(payment::Column::DueAt.lte(now))
        .filter(free)
        .order_by_asc(payment::Column::DueAt)
        .limit(limit)
        // SQLite has one writer at a time, and ignores this.
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(transaction)
        .await
}

fn message(payment: &Payment, event: &Announcement, clock: &Clock) -> Result<NewMessage, serde_json::Error> {
    // The order's id, so that whoever follows the order handles its events one after another.
    let aggregate = Aggregate { kind: "payment", id: payment.order_id.to_string(), version: payment.version };
    match event {
        Announcement::Processed(event) => announcement(event, aggregate, SOURCE, clock),
        Announcement::Failed(event) => announcement(event, aggregate, SOURCE, clock),
        Announcement::Refunded(event) => announcement(event, aggregate, SOURCE, clock),
    }
}
