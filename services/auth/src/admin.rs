//! The admin account that is configured in the environment.

use anyhow::Context as _;
use shop_core::{Clock, Email, UserId};
use shop_runtime::database::Database;

use crate::{
    domain::{Account, Client, NewPassword, Passwords},
    store,
};

/// The account that becomes admin.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) email: Email,
    pub(crate) password: NewPassword,
}

/// Creates the account, or takes over the account with that address.
///
/// The password is set in either case: somebody who registered the address before the operator configured it must not
/// become admin with their own password.
pub(crate) async fn ensure(
    Admin { email, password }: Admin,
    database: &Database,
    passwords: &Passwords,
    clock: &Clock,
) -> anyhow::Result<()> {
    let hash = passwords.hash(password, &Client::Operator).await?;
    let account = Account { id: UserId(clock.new_id()), email, admin: true };
    store::upsert_admin(database, &account, &hash, clock.now()).await.context("the admin account")?;
    tracing::info!(email = ?account.email, "the admin account is set up");
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::testing::{on_each_database, problem};

    #[tokio::test]
    async fn the_environments_admin_can_log_in_after_every_start() {
        on_each_database(async |auth| {
            for _ in 0..2 {
                auth.restart(|config| {
                    config.admin_email = Some("admin@example.com".parse().unwrap());
                    config.admin_password = Some("a good password".into());
                })
                .await;
                let token = auth.login("admin@example.com", "a good password").await;
                let token: Value = token.json().await.unwrap();
                let me = auth.verify(token["access_token"].as_str().unwrap()).await;
                assert_eq!(me.json::<Value>().await.unwrap()["roles"], json!(["customer", "admin"]));
            }
        })
        .await;
    }

    #[tokio::test]
    async fn who_took_the_admins_address_first_loses_it_with_their_password() {
        on_each_database(async |auth| {
            let squatter = auth.token("admin@example.com").await;
            let before: Value = auth.verify(&squatter).await.json().await.unwrap();
            assert_eq!(before["roles"], json!(["customer"]));
            auth.restart(|config| {
                config.admin_email = Some("admin@example.com".parse().unwrap());
                config.admin_password = Some("a good password".into());
            })
            .await;
            let refused = problem(auth.login("admin@example.com", "password123").await).await;
            assert_eq!(refused["status"], 401);
            assert_eq!(auth.login("admin@example.com", "a good password").await.status(), 200);
        })
        .await;
    }
}
