//! The tables of the outbox and the inbox, as migrations.
//!
//! A service that migrates with sea-orm adds [`migrations`] and [`inbox_migrations`] to its own (feature `sea-orm`). One that only uses
//! sqlx calls [`apply`] and [`apply_inbox`] at start. The statements are the same.

#[cfg(feature = "sea-orm")]
mod sea_orm;
mod sqlx;

#[cfg(feature = "sea-orm")]
pub use self::sea_orm::{inbox_migrations, migrations};
pub use self::sqlx::{apply, apply_inbox};
