//! Accounts in the database.

mod account;

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait as _, DbErr, EntityTrait as _, QueryFilter as _, Set, TryInsertResult,
    sea_query::{Expr, OnConflict},
};
use secrecy::{ExposeSecret as _, SecretString};
use shop_core::{Email, UserId};
use shop_runtime::database::Database;
use thiserror::Error;

use self::account::{ActiveModel, Column, Entity, Model};
use crate::domain::Account;

/// Why an account was not stored.
#[derive(Debug, Error)]
pub(crate) enum InsertError {
    #[error("the e-mail address already has an account")]
    EmailTaken,
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// Stores a new account. If two requests race for an address, the unique index lets one through.
pub(crate) async fn insert(
    database: &Database,
    account: &Account,
    password_hash: &SecretString,
    now: DateTime<Utc>,
) -> Result<(), InsertError> {
    let inserted = Entity::insert(row(account, password_hash, now))
        .on_conflict_do_nothing_on([Column::Email])
        .exec_without_returning(database)
        .await?;
    match inserted {
        TryInsertResult::Inserted(1..) => Ok(()),
        _ => Err(InsertError::EmailTaken),
    }
}

/// Stores an admin's account. An existing account with that address becomes admin and gets the password.
pub(crate) async fn upsert_admin(
    database: &Database,
    account: &Account,
    password_hash: &SecretString,
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    Entity::insert(row(account, password_hash, now))
        .on_conflict(
            OnConflict::column(Column::Email)
                .update_columns([Column::PasswordHash, Column::Admin])
                .to_owned(),
        )
        .exec_without_returning(database)
        .await?;
    Ok(())
}

/// Returns the account of an address, with its password's hash.
pub(crate) async fn find(
    database: &Database,
    email: &Email,
) -> Result<Option<(Account, SecretString)>, DbErr> {
    let found = Entity::find().filter(Column::Email.eq(email.as_str())).one(database).await?;
    found.map(account_and_hash).transpose()
}

/// Replaces a password's hash by a better one, unless the password was changed meanwhile.
pub(crate) async fn replace_password_hash(
    database: &Database,
    id: UserId,
    old: &SecretString,
    new: &SecretString,
) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::PasswordHash, Expr::value(new.expose_secret()))
        .filter(Column::Id.eq(id.0))
        .filter(Column::PasswordHash.eq(old.expose_secret()))
        .exec(database)
        .await?;
    Ok(())
}

fn row(account: &Account, password_hash: &SecretString, now: DateTime<Utc>) -> ActiveModel {
    ActiveModel {
        id: Set(account.id.0),
        email: Set(account.email.as_str().to_owned()),
        password_hash: Set(password_hash.expose_secret().to_owned()),
        admin: Set(account.admin),
        created_at: Set(now),
    }
}

fn account_and_hash(row: Model) -> Result<(Account, SecretString), DbErr> {
    let email = Email::from_stored(&row.email)
        .map_err(|_| DbErr::Type(format!("account {}: the e-mail address", row.id)))?;
    Ok((Account { id: UserId(row.id), email, admin: row.admin }, row.password_hash.into()))
}
