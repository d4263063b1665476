//! The tables of the outbox and of the inbox, as migrations.
//!
//! A service that migrates by sea-orm adds [`migrations`] and [`inbox_migrations`] to its own (feature `sea-orm`). One that uses
//! sqlx alone calls [`apply`] and [`apply_inbox`] at its start. The statements are the same.

#[cfg(feature = "sea-orm")]
mod sea_orm;
mod sqlx;

#[cfg(feature = "sea-orm")]
pub use self::sea_orm::{inbox_migrations, migrations};
pub use self::sqlx::{apply, apply_inbox};
