//! The rows, as sea-orm entities.

/// An order.
pub(super) mod order {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "orders")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub customer_id: Option<Uuid>,
        pub customer_email: String,
        /// Minor units.
        pub total_amount: i64,
        pub currency: String,
        pub status: String,
        pub aggregate_version: i64,
        pub created_at: DateTimeUtc,
        /// SHA-256 of a guest's order token. Orders of accounts have none, nor do guests' orders from before there were tokens.
        pub guest_token: Option<Vec<u8>>,
        /// Set once it is cancelled, unless a release did it that knew no codes.
        pub cancellation_code: Option<String>,
        pub cancellation_reason: Option<String>,
        pub tracking_number: Option<String>,
        /// BCP 47.
        pub language: Option<String>,
        /// W3C.
        pub trace_parent: Option<String>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A line of an order.
pub(super) mod order_item {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "order_items")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub order_id: Uuid,
        /// From 0, in the customer's order.
        #[sea_orm(primary_key, auto_increment = false)]
        pub position: i16,
        pub product_id: i64,
        pub name: String,
        pub quantity: i32,
        /// Minor units, for one piece.
        pub price: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What happened to an order after it was placed.
pub(super) mod timeline {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "order_timeline")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub order_id: Uuid,
        /// From 2: the first entry is the order itself.
        #[sea_orm(primary_key, auto_increment = false)]
        pub seq: i16,
        pub at: DateTimeUtc,
        pub event: String,
        pub detail: Option<String>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The idempotency key of a request, and the response to it once there is one.
pub(super) mod idempotency_key {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "idempotency_keys")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Vec<u8>,
        pub fingerprint: Vec<u8>,
        /// The attempt that holds the key.
        pub attempt: Uuid,
        /// When it loses the key, if it has not responded.
        pub leased_until: DateTimeUtc,
        /// The response; either all three are set or none.
        pub status: Option<i16>,
        pub location: Option<String>,
        pub body: Option<String>,
        /// The order token that belongs to the response, hidden by a pad derived from the key.
        pub sealed_token: Option<Vec<u8>>,
        pub created_at: DateTimeUtc,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
