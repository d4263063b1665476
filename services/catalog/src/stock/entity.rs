//! The rows, as sea-orm entities.

/// The stock of a product.
pub(crate) mod stock {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "stock")]
    pub(crate) struct Model {
        /// No foreign key: the books outlive the product.
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) product_id: i64,
        /// Pieces that were ever put in, less those that were written off.
        pub(crate) received: i64,
        pub(crate) on_hand: i64,
        pub(crate) reserved: i64,
        /// The product was deleted. What is not reserved is written off, so nothing is available.
        pub(crate) discontinued: bool,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The reservation of an order.
pub(crate) mod reservation {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "reservations")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) order_id: Uuid,
        pub(crate) state: String,
        pub(crate) cancelled: bool,
        pub(crate) version: i64,
        /// When the pieces are given back, unless the order is confirmed before. None if nothing was reserved.
        pub(crate) reserved_until: Option<DateTimeUtc>,
        pub(crate) created_at: DateTimeUtc,
        pub(crate) updated_at: DateTimeUtc,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A product of a reservation.
pub(crate) mod reservation_line {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "reservation_lines")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) order_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) product_id: i64,
        pub(crate) quantity: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
