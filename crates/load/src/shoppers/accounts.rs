use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use shop_client::{Auth, Failure, OnBehalf};
use shop_core::Email;
use shop_runtime::config::ExposeSecret as _;
use tokio::time::{Instant, sleep};

use super::pauses::{Pauses, pause};

/// Nobody needs to know it: the accounts are new.
const PASSWORD: &str = "a phrase that shoppers share";

/// Accounts that were opened for a run, logged in.
pub(crate) struct Accounts {
    auth: Auth,
    all: Vec<Account>,
}

struct Account {
    email: Email,
    token: Mutex<String>,
}

impl Accounts {
    /// Opens `count` accounts whose addresses begin with `shopper-` and contain `run`.
    pub(crate) async fn open(auth: &Auth, run: &str, count: u16, deadline: Instant) -> anyhow::Result<Self> {
        let mut all = Vec::new();
        for number in 0..count {
            let email: Email = format!("shopper-{run}-{number}@example.com").parse()?;
            let token = opened(auth, &email, deadline).await.context("an account cannot be opened")?;
            all.push(Account { email, token: Mutex::new(token) });
        }
        Ok(Self { auth: auth.clone(), all })
    }

    /// Its access token.
    pub(crate) fn token(&self, number: usize) -> String {
        self.all[number].token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Logs in again, because its token has expired.
    pub(crate) async fn renew(&self, number: usize) -> Result<(), Failure> {
        let account = &self.all[number];
        let token = log_in(&self.auth, &account.email).await?;
        *account.token.lock().unwrap_or_else(PoisonError::into_inner) = token;
        Ok(())
    }
}

async fn opened(auth: &Auth, email: &Email, deadline: Instant) -> Result<String, Failure> {
    let mut pauses = Pauses::new();
    loop {
        let failure = match auth.register(email, PASSWORD, OnBehalf::OURSELVES).await {
            Ok(token) => return Ok(token.access_token.expose_secret().to_owned()),
            // An earlier attempt that was not answered.
            Err(failure) if failure.is_refused_as("email-taken") => match log_in(auth, email).await {
                Ok(token) => return Ok(token),
                Err(failure) => failure,
            },
            Err(failure) => failure,
        };
        let Some(pause) = pause(&failure, &mut pauses) else { return Err(failure) };
        if Instant::now() + pause > deadline {
            return Err(failure);
        }
        sleep(pause).await;
    }
}

async fn log_in(auth: &Auth, email: &Email) -> Result<String, Failure> {
    let token = auth.log_in(email, PASSWORD, OnBehalf::OURSELVES).await?;
    Ok(token.access_token.expose_secret().to_owned())
}
