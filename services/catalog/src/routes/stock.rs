//! The stock of every product, for administrators.

use axum::{extract::State, response::Response};
use sea_orm::DbErr;
use serde::{Deserialize, Serialize};
use shop_core::ProductId;
use shop_runtime::{
    auth::Admin,
    http::{Documented, Problem, Problems, Query},
};
use utoipa::ToSchema;

use super::paging::{Limit, page_of};
use crate::{
    app::App,
    domain::Cursor,
    stock::{Level, levels},
};

/// The requested page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// The maximum number of products.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 1000, default = 100)]
    #[serde(default)]
    limit: Limit,
    /// Where to continue: from the `Link` of the previous page.
    #[param(pattern = "^A[Q-Za-f][A-Za-z0-9_-]{10}$")]
    cursor: Option<String>,
}

impl Page {
    fn checked(&self) -> Result<(u64, Option<ProductId>), Problem> {
        let after = self.cursor.as_deref().map(str::parse::<Cursor>).transpose();
        let after = after.map_err(|error| Problem::bad_request(format!("`cursor`: {error}.")))?;
        Ok((self.limit.checked()?, after.map(|Cursor(id)| id)))
    }
}

impl Documented for Page {
    fn examples() -> Vec<Problem> {
        Limit::examples()
    }
}

/// The stock of a product.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Stock)]
pub(super) struct LevelBody {
    /// The product.
    product_id: ProductId,
    /// Pieces that were ever put in, less those that were written off. Less what was sold, this is `on_hand`.
    received: i64,
    /// Pieces in the warehouse.
    on_hand: i64,
    /// Of these, pieces that are kept for orders.
    reserved: i64,
    /// Pieces that can be bought: the rest. A product that was deleted has none.
    available: i64,
}

impl From<Level> for LevelBody {
    fn from(level: Level) -> Self {
        let Level { product, received, on_hand, reserved } = level;
        Self { product_id: product, received, on_hand, reserved, available: on_hand - reserved }
    }
}

/// Lists the stock of every product, by id
///
/// Products that were deleted are listed too: the books outlive them.
#[utoipa::path(
    get,
    path = "/stock",
    tag = "stock",
    security(("bearer" = [])),
    params(Page),
    responses(
        (status = 200, description = "A page of the books", body = Vec<LevelBody>, headers(
            ("Link" = String, description = "RFC 8288: `<…>; rel=\"next\"` if there are more"),
        )),
        Problems<(DbErr, Admin, Page)>,
    )
)]
pub(super) async fn list_stock(
    State(app): State<App>,
    Admin(_): Admin,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    let (limit, after) = page.checked()?;
    let found = levels(app.database(), after, limit + 1).await?;
    let next = |last: &Level| format!("/stock?limit={limit}&cursor={}", Cursor(last.product));
    page_of(found, limit, next, LevelBody::from)
}
