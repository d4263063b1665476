//! A provider that moves no money. It behaves like a real one: it is slow, declines, fails, charges without saying so, and is away, as
//! the amount asks for (docs/payments.md) or the configuration.
//!
//! Its books are in the service's database, and as separate as another company's: it has its own tables and its own transactions.

mod books;
mod ending;
mod entity;
mod notifier;

use std::{future::pending, time::Duration};

use async_trait::async_trait;
use sea_orm::DbErr;

use self::{books::Kept, ending::Ending};
pub(crate) use self::{
    books::{Books, Charge, ChargeState, Switch},
    notifier::{HEADER, Notifier},
};
use crate::{
    config::SimulatedConfig,
    domain::{Bill, CallError, Provider, Verdict},
};

/// The provider's name.
pub(crate) const NAME: &str = "simulated";

/// How long …02 takes.
const SLOW: Duration = Duration::from_secs(2);

/// The simulated provider.
pub(crate) struct Simulated {
    books: Books,
    delay: Duration,
    is_out: bool,
    notifier: Option<Notifier>,
}

impl Simulated {
    /// A provider with these books.
    pub(crate) fn new(books: Books, config: &SimulatedConfig, notifier: Option<Notifier>) -> Self {
        let delay = Duration::from_millis(config.delay_ms.into());
        Self { books, delay, is_out: config.outage, notifier }
    }

    /// The way to the provider.
    async fn reached(&self) -> Result<(), CallError> {
        if self.is_out || self.books.is_on(Switch::Outage).await.map_err(broken)? {
            return Err(refused());
        }
        tokio::time::sleep(self.delay).await;
        Ok(())
    }

    fn notify(&self, charge: &Charge) {
        if let Some(notifier) = &self.notifier {
            notifier.notify(charge);
        }
    }
}

fn refused() -> CallError {
    CallError::NotDone("connection refused".to_owned())
}

/// Its database did not answer as it should.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn broken(error: DbErr) -> CallError {
    CallError::Unknown(error.to_string())
}

#[async_trait]
impl Provider for Simulated {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn charge(&self, bill: &Bill) -> Result<Verdict, CallError> {
        self.reached().await?;
        let ending = Ending::of(bill.amount);
        match ending {
            Ending::Slow => tokio::time::sleep(SLOW).await,
            Ending::FailsTwice if self.books.fails(bill).await.map_err(broken)? => {
                return Err(CallError::Unknown("the simulated provider failed on purpose".to_owned()));
            }
            Ending::Unavailable if self.books.is_on(Switch::UnavailableAmounts).await.map_err(broken)? => {
                return Err(refused());
            }
            _ => {}
        }
        let state = if ending == Ending::Declined { ChargeState::Declined } else { ChargeState::Charged };
        let kept = self.books.keep(bill, state).await.map_err(broken)?;
        let Some(Kept { charge, is_new }) = kept else {
            return Ok(declined("The payment was cancelled."));
        };
        if is_new {
            self.notify(&charge);
            if ending == Ending::TimesOut {
                pending::<()>().await;
            }
        }
        if charge.amount != bill.amount {
            return Err(CallError::Misconfigured(
                "the idempotency key was used for another amount".to_owned(),
            ));
        }
        Ok(verdict(&charge))
    }

    async fn ask(&self, bill: &Bill) -> Result<Verdict, CallError> {
        self.reached().await?;
        let found = self.books.find(&bill.idempotency_key).await.map_err(broken)?;
        Ok(found.as_ref().map_or(Verdict::Missing, verdict))
    }

    async fn void(&self, bill: &Bill) -> Result<Verdict, CallError> {
        self.reached().await?;
        let found = self.books.void(&bill.idempotency_key).await.map_err(broken)?;
        Ok(found.as_ref().map_or(Verdict::Void, verdict))
    }

    async fn refund(&self, bill: &Bill) -> Result<Verdict, CallError> {
        self.reached().await?;
        match self.books.refund(&bill.idempotency_key).await.map_err(broken)? {
            Some(Kept { charge, is_new }) => {
                if is_new {
                    self.notify(&charge);
                }
                Ok(Verdict::Refunded)
            }
            None => Err(CallError::Misconfigured("there is no charge to refund".to_owned())),
        }
    }
}

fn verdict(charge: &Charge) -> Verdict {
    match charge.state {
        ChargeState::Charged | ChargeState::Refunded => {
            Verdict::Charged { reference: format!("sim_{}", charge.idempotency_key) }
        }
        ChargeState::Declined => declined("The card was declined."),
    }
}

fn declined(reason: &str) -> Verdict {
    Verdict::Declined { reason: reason.to_owned() }
}
