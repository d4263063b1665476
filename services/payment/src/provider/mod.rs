//! The providers: who charges customers.

pub(crate) mod simulated;
mod stripe;

use std::sync::Arc;

use anyhow::Context as _;
use shop_runtime::{Scope, database::Database};

pub(crate) use self::stripe::NAME as STRIPE;
use self::{
    simulated::{Books, Notifier, Simulated},
    stripe::Stripe,
};
use crate::{
    config::{Config, ProviderKind},
    domain::Provider,
    signature::WebhookKey,
};

/// The provider of the configuration.
pub(crate) struct Opened {
    /// Who charges.
    pub provider: Arc<dyn Provider>,
    /// The simulated one's books, if it is that one.
    pub books: Option<Books>,
}

/// Opens the provider of the configuration. Nothing is called yet.
///
/// # Errors
/// A variable that it needs is not set.
pub(crate) fn open(
    config: &Config,
    webhook_key: Option<&WebhookKey>,
    database: &Database,
    scope: &Scope,
) -> anyhow::Result<Opened> {
    match config.provider {
        ProviderKind::Stripe => {
            let provider = Arc::new(Stripe::new(&config.stripe, scope.clock.clone())?);
            Ok(Opened { provider, books: None })
        }
        ProviderKind::Simulated => {
            let books = Books::new(database.clone(), scope.clock.clone());
            let notifier = match &config.simulated.webhook_url {
                None => None,
                Some(url) => {
                    let key = webhook_key
                        .context("PAYMENT_WEBHOOK_SECRET must be set for PAYMENT_SIMULATED_WEBHOOK_URL")?;
                    Some(Notifier::start(url.clone(), key.clone(), scope)?)
                }
            };
            let provider = Arc::new(Simulated::new(books.clone(), &config.simulated, notifier));
            Ok(Opened { provider, books: Some(books) })
        }
    }
}
