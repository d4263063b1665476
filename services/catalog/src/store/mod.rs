//! Products in the database.

mod product;

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, ConnectionTrait as _, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
    sea_query::{LikeExpr, Query},
};
use shop_core::ProductId;
use shop_runtime::database::Database;

use self::product::{ActiveModel, Column, Entity};
use crate::domain::{Cursor, Draft, Filter, Product};

/// The shop's products.
#[derive(Clone, Debug)]
pub(crate) struct Products {
    database: Database,
}

impl Products {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// The key that seals the cached list, the same for every replica.
    pub(crate) async fn cache_key(&self) -> Result<String, DbErr> {
        let select = Query::select().column("key").from("cache_key").to_owned();
        let row = self.database.query_one(&select).await?;
        row.ok_or_else(|| DbErr::RecordNotFound("the cache's key".to_owned()))?.try_get("", "key")
    }

    /// Returns the first `limit` products after `after` that match `filter`, by id.
    pub(crate) async fn page(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: u64,
    ) -> Result<Vec<Product>, DbErr> {
        let mut query = Entity::find().order_by_asc(Column::Id).limit(limit);
        if let Some(Cursor(id)) = after {
            query = query.filter(Column::Id.gt(id.0));
        }
        if let Some(search) = &filter.search {
            query = query.filter(Column::SearchText.like(containing(search)));
        }
        if let Some(category) = &filter.category {
            query = query.filter(Column::Category.eq(category));
        }
        if let Some(ids) = &filter.ids {
            query = query.filter(Column::Id.is_in(ids.iter().map(|id| id.0)));
        }
        query.all(&self.database).await?.into_iter().map(Product::try_from).collect()
    }

    pub(crate) async fn find(&self, id: ProductId) -> Result<Option<Product>, DbErr> {
        Entity::find_by_id(id.0).one(&self.database).await?.map(Product::try_from).transpose()
    }

    pub(crate) async fn insert(&self, draft: &Draft) -> Result<Product, DbErr> {
        let row = ActiveModel { id: NotSet, ..row(draft) };
        Entity::insert(row).exec_with_returning(&self.database).await?.try_into()
    }

    /// Replaces product `id`; without a drawing in `draft` it keeps its own.
    pub(crate) async fn replace(&self, id: ProductId, draft: &Draft) -> Result<Option<Product>, DbErr> {
        let mut row = row(draft);
        if draft.fields().drawing.is_none() {
            row.drawing = NotSet;
        }
        let updated = Entity::update_many()
            .set(row)
            .filter(Column::Id.eq(id.0))
            .exec_with_returning(&self.database)
            .await?;
        updated.into_iter().next().map(Product::try_from).transpose()
    }

    /// Deletes product `id`; returns whether it existed.
    pub(crate) async fn delete(&self, id: ProductId) -> Result<bool, DbErr> {
        Ok(Entity::delete_by_id(id.0).exec(&self.database).await?.rows_affected > 0)
    }
}

fn row(draft: &Draft) -> ActiveModel {
    let fields = draft.fields();
    ActiveModel {
        id: NotSet,
        name: Set(fields.name.clone()),
        description: Set(fields.description.clone()),
        price_minor: Set(fields.price.minor()),
        category: Set(fields.category.clone()),
        // The limit for a draft's stock is far below.
        stock: Set(i32::try_from(fields.stock).unwrap_or(i32::MAX)),
        drawing: Set(fields.drawing.clone()),
        search_text: Set(product::search_text(&fields.name, &fields.description)),
    }
}

/// A LIKE pattern that matches `search` literally.
fn containing(search: &str) -> LikeExpr {
    let mut pattern = String::with_capacity(search.len() + 2);
    pattern.push('%');
    for c in search.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    LikeExpr::new(pattern).escape('\\')
}
