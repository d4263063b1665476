//! Products in the database.

mod product;

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, ConnectionTrait as _, DbBackend, DbErr, EntityTrait, FromQueryResult as _, JoinType,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, Select, Statement,
    sea_query::{Expr, LikeExpr, Query},
};
use shop_core::ProductId;
use shop_runtime::database::{Database, Transaction};

use self::product::{ActiveModel, Column, Entity, Row};
use crate::{
    domain::{Cursor, Draft, Filter, Product, Stock},
    stock::{entity, shelf},
};

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
        if let (Filter { search: None, category: None, ids: Some(ids) }, None, DbBackend::Postgres) =
            (filter, after, self.database.get_database_backend())
        {
            return self.by_ids(ids, limit).await;
        }
        let mut query = with_stock().order_by_asc(Column::Id).limit(limit);
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
        query.into_model::<Row>().all(&self.database).await?.into_iter().map(Product::try_from).collect()
    }

    /// On PostgreSQL, by a constant statement: each order asks for its products, and to build the query would take longer than to
    /// carry it out.
    async fn by_ids(&self, ids: &[ProductId], limit: u64) -> Result<Vec<Product>, DbErr> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let values = [ids.into(), limit.cast_signed().into()];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, BY_IDS, values);
        Row::find_by_statement(statement)
            .all(&self.database)
            .await?
            .into_iter()
            .map(Product::try_from)
            .collect()
    }

    pub(crate) async fn find(&self, id: ProductId) -> Result<Option<Product>, DbErr> {
        let row = with_stock().filter(Column::Id.eq(id.0)).into_model::<Row>().one(&self.database).await?;
        row.map(Product::try_from).transpose()
    }

    pub(crate) async fn insert(&self, draft: &Draft, stock: Stock) -> Result<Product, DbErr> {
        let insert = |transaction: Transaction| async move {
            let row = ActiveModel { stock: Set(for_the_previous_release(stock)), ..row(draft) };
            let model = Entity::insert(row).exec_with_returning(&transaction).await?;
            shelf::set(&transaction, ProductId(model.id), stock.pieces()).await?;
            transaction.commit().await?;
            Row::new(model, stock.pieces().into()).try_into()
        };
        self.database.transaction(insert).await
    }

    /// Replaces product `id`; without a drawing in `draft` it keeps its own, and without `stock` what is available stays as it is.
    /// What is reserved stays in any case.
    pub(crate) async fn replace(
        &self,
        id: ProductId,
        draft: &Draft,
        stock: Option<Stock>,
    ) -> Result<Option<Product>, DbErr> {
        let replace = |transaction: Transaction| async move {
            let mut row = row(draft);
            if draft.fields().drawing.is_none() {
                row.drawing = NotSet;
            }
            if let Some(stock) = stock {
                row.stock = Set(for_the_previous_release(stock));
            }
            let update = Entity::update_many().set(row).filter(Column::Id.eq(id.0));
            let Some(model) = update.exec_with_returning(&transaction).await?.into_iter().next() else {
                return Ok(None);
            };
            if let Some(stock) = stock {
                shelf::set(&transaction, id, stock.pieces()).await?;
            }
            let available = shelf::available(&transaction, id).await?;
            transaction.commit().await?;
            Product::try_from(Row::new(model, available)).map(Some)
        };
        self.database.transaction(replace).await
    }

    /// Deletes product `id`; returns whether it existed. Its reservations stay, to be sold or given back.
    pub(crate) async fn delete(&self, id: ProductId) -> Result<bool, DbErr> {
        let delete = |transaction: Transaction| async move {
            if Entity::delete_by_id(id.0).exec(&transaction).await?.rows_affected == 0 {
                return Ok(false);
            }
            shelf::discontinue(&transaction, id).await?;
            transaction.commit().await?;
            Ok(true)
        };
        self.database.transaction(delete).await
    }
}

/// No page shows drawings.
const BY_IDS: &str = "
SELECT id, name, description, price_minor, category, NULL AS drawing, coalesce(on_hand - reserved, 0) AS available
FROM products LEFT JOIN stock ON product_id = id
WHERE id = ANY($1) ORDER BY id LIMIT $2";

/// Products with what is available of them. Both tables are read by their primary keys.
fn with_stock() -> Select<Entity> {
    let of_product = Entity::belongs_to(entity::stock::Entity)
        .from(Column::Id)
        .to(entity::stock::Column::ProductId)
        .into();
    Entity::find()
        .select_only()
        .columns([
            Column::Id,
            Column::Name,
            Column::Description,
            Column::PriceMinor,
            Column::Category,
            Column::Drawing,
        ])
        .expr_as(Expr::cust("coalesce(stock.on_hand - stock.reserved, 0)"), "available")
        .join(JoinType::LeftJoin, of_product)
}

fn row(draft: &Draft) -> ActiveModel {
    let fields = draft.fields();
    ActiveModel {
        id: NotSet,
        name: Set(fields.name.clone()),
        description: Set(fields.description.clone()),
        price_minor: Set(fields.price.minor()),
        category: Set(fields.category.clone()),
        stock: NotSet,
        drawing: Set(fields.drawing.clone()),
        search_text: Set(product::search_text(&fields.name, &fields.description)),
    }
}

/// The limit of a stock is far below.
fn for_the_previous_release(stock: Stock) -> i32 {
    i32::try_from(stock.pieces()).unwrap_or(i32::MAX)
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
