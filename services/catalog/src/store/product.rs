use sea_orm::{DbErr, FromQueryResult, entity::prelude::*};
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
    /// What the previous release reads. Written when an administrator says how many there are, and read by nobody here.
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

/// A product with what is available of it.
#[derive(Debug, FromQueryResult)]
pub(crate) struct Row {
    id: i64,
    name: String,
    description: String,
    price_minor: i64,
    category: String,
    drawing: Option<String>,
    available: i64,
}

impl Row {
    pub(crate) fn new(model: Model, available: i64) -> Self {
        let Model { id, name, description, price_minor, category, drawing, .. } = model;
        Self { id, name, description, price_minor, category, drawing, available }
    }
}

impl TryFrom<Row> for Product {
    type Error = DbErr;

    fn try_from(row: Row) -> Result<Self, DbErr> {
        let wrong = |what: &str| DbErr::Custom(format!("product {} has an impossible {what}", row.id));
        Ok(Self {
            id: ProductId(row.id),
            price: Money::from_minor(row.price_minor).map_err(|_| wrong("price"))?,
            stock: row.available.try_into().map_err(|_| wrong("stock"))?,
            name: row.name,
            description: row.description,
            category: row.category,
            drawing: row.drawing,
        })
    }
}
