use sea_orm::{DbErr, entity::prelude::*};
use shop_core::{Money, ProductId};

use crate::domain::Product;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "products")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) price_minor: i64,
    pub(crate) category: String,
    pub(crate) stock: i32,
    pub(crate) drawing: Option<String>,
    pub(crate) search_text: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The text for searches. Converted to lower case here and not by the database, because SQLite's `lower` supports ASCII only.
pub(crate) fn search_text(name: &str, description: &str) -> String {
    format!("{name}\n{description}").to_lowercase()
}

impl TryFrom<Model> for Product {
    type Error = DbErr;

    fn try_from(row: Model) -> Result<Self, DbErr> {
        let wrong = |what: &str| DbErr::Custom(format!("product {} has an impossible {what}", row.id));
        Ok(Self {
            id: ProductId(row.id),
            price: Money::from_minor(row.price_minor).map_err(|_| wrong("price"))?,
            stock: row.stock.try_into().map_err(|_| wrong("stock"))?,
            name: row.name,
            description: row.description,
            category: row.category,
            drawing: row.drawing,
        })
    }
}
