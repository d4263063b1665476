//! The endpoints.

mod conditional;
mod list;
mod paging;
mod picture;
mod read;
mod refusal;
mod reservations;
mod stock;
mod write;

use shop_runtime::http::CommonParts;
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

#[derive(OpenApi)]
#[openapi(
    info(title = "catalog", description = "Products and stock."),
    tags(
        (name = "products", description = "What the shop sells"),
        (name = "stock", description = "The books, for administrators")
    ),
    modifiers(&CommonParts)
)]
struct Description;

/// The routes and their description.
pub(crate) fn described() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(list::list_products, write::create_product))
        .routes(routes!(read::read_product, write::replace_product, write::delete_product))
        .routes(routes!(picture::read_picture))
        .routes(routes!(stock::list_stock))
        .routes(routes!(reservations::list_reservations))
}
