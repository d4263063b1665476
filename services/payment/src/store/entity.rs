//! The rows, as sea-orm entities.

/// A payment.
pub(super) mod payment {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "payments")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub order_id: Uuid,
        pub customer_email: String,
        /// Minor units.
        pub amount: i64,
        pub currency: String,
        pub state: String,
        pub code: Option<String>,
        pub reason: Option<String>,
        pub provider: String,
        pub idempotency_key: String,
        pub reference: Option<String>,
        pub doubt: String,
        pub unwanted: bool,
        pub attempts: i32,
        pub aggregate_version: i64,
        pub give_up_at: DateTimeUtc,
        pub due_at: Option<DateTimeUtc>,
        pub lease: Option<Uuid>,
        pub leased_until: Option<DateTimeUtc>,
        pub traceparent: Option<String>,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// An order that was cancelled before its payment was opened.
pub(super) mod cancelled_order {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "cancelled_orders")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub order_id: Uuid,
        pub created_at: DateTimeUtc,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
