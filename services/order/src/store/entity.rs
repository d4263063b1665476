//! The rows, as sea-orm sees them.

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
        /// SHA-256 of a guest's order token. Orders of accounts have none, and those of guests from before there were tokens.
        pub guest_token: Option<Vec<u8>>,
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
        /// From 0, as the customer wrote them.
        #[sea_orm(primary_key, auto_increment = false)]
        pub position: i16,
        pub product_id: i64,
        pub name: String,
        pub quantity: i32,
        /// Minor units, of one.
        pub price: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The key of a request, and the answer to it once there is one.
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
        /// Until when it does, if it does not answer.
        pub leased_until: DateTimeUtc,
        /// The answer; all three are there or none.
        pub status: Option<i16>,
        pub location: Option<String>,
        pub body: Option<String>,
        /// The order token that belongs to the answer, under a pad that is made of the key.
        pub sealed_token: Option<Vec<u8>>,
        pub created_at: DateTimeUtc,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
