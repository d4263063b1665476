use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use sea_orm::DbErr;
use serde::Deserialize;
use serde_json::Value;
use shop_core::{Money, ProductId};
use shop_runtime::{
    auth::Admin,
    http::{Json, Path, Problem, Problems},
};
use utoipa::ToSchema;

use super::refusal::NoSuchProduct;
use crate::{
    app::App,
    body::ProductBody,
    domain::{Draft, Fields, Refused, Stock, drawing_names},
};

/// A new product, as an admin describes it.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ProductDescription)]
pub(super) struct Description {
    /// Its name: one line.
    #[schema(min_length = 1, max_length = 120)]
    name: String,
    /// Its description.
    #[serde(default)]
    #[schema(max_length = 2000)]
    description: String,
    /// The price of one piece, 0.01 to 10000000.00 roubles.
    #[schema(value_type = f64, minimum = 0.01, maximum = 10_000_000.0, multiple_of = 0.01, examples(500.0))]
    price: Money,
    /// Its category.
    #[schema(pattern = "^[a-z0-9-]{1,40}$", examples("desk"))]
    category: String,
    /// How many are in stock.
    #[schema(maximum = 1_000_000)]
    stock: u32,
    /// One of the shop's drawings, such as `mug`. Without one, a new product gets the neutral picture for its category.
    #[schema(schema_with = drawing)]
    drawing: Option<String>,
}

/// A product as it is to be, as an admin describes it.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ProductReplacement)]
pub(super) struct Replacement {
    /// Its name: one line.
    #[schema(min_length = 1, max_length = 120)]
    name: String,
    /// Its description.
    #[serde(default)]
    #[schema(max_length = 2000)]
    description: String,
    /// The price of one piece, 0.01 to 10000000.00 roubles.
    #[schema(value_type = f64, minimum = 0.01, maximum = 10_000_000.0, multiple_of = 0.01, examples(500.0))]
    price: Money,
    /// Its category.
    #[schema(pattern = "^[a-z0-9-]{1,40}$", examples("desk"))]
    category: String,
    /// How many can be bought from now on; what is reserved for orders stays reserved. Without it, the stock stays as it is.
    #[schema(maximum = 1_000_000)]
    stock: Option<u32>,
    /// One of the shop's drawings, such as `mug`. Without one, the product keeps its picture.
    #[schema(schema_with = drawing)]
    drawing: Option<String>,
}

impl Description {
    fn checked(self) -> Result<(Draft, Stock), Problem> {
        let Self { name, description, price, category, stock, drawing } = self;
        let draft = Draft::new(Fields { name, description, price, category, drawing }).map_err(refused)?;
        Ok((draft, Stock::new(stock).map_err(refused)?))
    }
}

impl Replacement {
    fn checked(self) -> Result<(Draft, Option<Stock>), Problem> {
        let Self { name, description, price, category, stock, drawing } = self;
        let draft = Draft::new(Fields { name, description, price, category, drawing }).map_err(refused)?;
        Ok((draft, stock.map(Stock::new).transpose().map_err(refused)?))
    }
}

fn refused(Refused { field, reason }: Refused) -> Problem {
    Problem::invalid(format!("/{field}"), reason)
}

fn drawing() -> utoipa::openapi::Object {
    use utoipa::openapi::{ObjectBuilder, schema::SchemaType, schema::Type};

    let names = drawing_names().map(Value::from).chain([Value::Null]);
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .enum_values(Some(names))
        .description(Some(
            "One of the shop's drawings. Without one, a new product gets the neutral picture of its category, and an old one keeps \
             the picture that it has.",
        ))
        .build()
}

/// Creates a product
#[utoipa::path(
    post,
    path = "/products",
    tag = "products",
    security(("bearer" = [])),
    request_body = Description,
    responses(
        (status = 201, description = "The new product", body = ProductBody, headers(("Location" = String, description = "Its path"))),
        Problems<(DbErr, Admin, Json<Description>)>,
    )
)]
pub(super) async fn create_product(
    State(app): State<App>,
    Admin(admin): Admin,
    Json(description): Json<Description>,
) -> Result<impl IntoResponse, Problem> {
    let (draft, stock) = description.checked()?;
    let products = app.products().clone();
    let product = app.listing().change(async move { products.insert(&draft, stock).await }).await?;
    tracing::info!(product = %product.id, admin = %admin.id, "a product was created");
    let location = format!("/products/{}", product.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(ProductBody::from(product))))
}

/// Replaces a product
#[utoipa::path(
    put,
    path = "/products/{id}",
    tag = "products",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "The product's id")),
    request_body = Replacement,
    responses(
        (status = 200, description = "The product as it is now", body = ProductBody),
        Problems<(DbErr, Admin, Json<Replacement>, NoSuchProduct)>,
    )
)]
pub(super) async fn replace_product(
    State(app): State<App>,
    Admin(admin): Admin,
    Path(id): Path<ProductId>,
    Json(replacement): Json<Replacement>,
) -> Result<Json<ProductBody>, Problem> {
    let (draft, stock) = replacement.checked()?;
    let products = app.products().clone();
    let replaced = app.listing().change(async move { products.replace(id, &draft, stock).await }).await?;
    let product = replaced.ok_or(NoSuchProduct)?;
    tracing::info!(product = %id, admin = %admin.id, "a product was replaced");
    Ok(Json(ProductBody::from(product)))
}

/// Deletes a product
#[utoipa::path(
    delete,
    path = "/products/{id}",
    tag = "products",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "The product's id")),
    responses(
        (status = 204, description = "The product is deleted"),
        Problems<(DbErr, Admin, NoSuchProduct)>,
    )
)]
pub(super) async fn delete_product(
    State(app): State<App>,
    Admin(admin): Admin,
    Path(id): Path<ProductId>,
) -> Result<StatusCode, Problem> {
    let products = app.products().clone();
    if !app.listing().change(async move { products.delete(id).await }).await? {
        return Err(NoSuchProduct.into());
    }
    tracing::info!(product = %id, admin = %admin.id, "a product was deleted");
    Ok(StatusCode::NO_CONTENT)
}
