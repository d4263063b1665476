use std::fmt;

use sea_orm::entity::prelude::*;

/// A row of `accounts`.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts")]
pub(crate) struct Model {
    /// A UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Normalised; unique.
    pub email: String,
    /// A PHC string.
    pub password_hash: String,
    pub admin: bool,
    pub created_at: DateTimeUtc,
}

impl fmt::Debug for Model {
    /// Without the person and the hash: `Debug` ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("accounts::Model").field("id", &self.id).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
