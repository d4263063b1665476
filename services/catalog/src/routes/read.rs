use axum::{extract::State, response::Response};
use bytes::Bytes;
use shop_core::ProductId;
use shop_runtime::http::{Path, Problem, Problems, Responses};
use utoipa::IntoResponses;

use super::{
    App,
    conditional::{IfNoneMatch, KnownTag},
};
use crate::{body::ProductBody, page::etag};

/// Of whatever is read by a product's id.
pub(super) struct ReadProblems;

impl IntoResponses for ReadProblems {
    fn responses() -> Responses {
        Problems::of_every_request().with_database().with(no_such_product()).responses()
    }
}

/// Reads a product
#[utoipa::path(
    get,
    path = "/products/{id}",
    tag = "products",
    params(("id" = i64, Path, description = "The product's id"), KnownTag),
    responses(
        (status = 200, description = "The product", body = ProductBody, headers(("ETag" = String, description = "For `If-None-Match`"))),
        (status = 304, description = "The product is as you have it"),
        ReadProblems,
    )
)]
pub(super) async fn read_product(
    State(app): State<App>,
    Path(id): Path<ProductId>,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    let product = app.products().find(id).await?.ok_or_else(no_such_product)?;
    let json = serde_json::to_vec(&ProductBody::from(product)).map_err(Problem::internal)?;
    Ok(known.respond("application/json", "no-cache", &etag(&json), &Bytes::from(json)))
}

pub(super) fn no_such_product() -> Problem {
    Problem::not_found("There is no such product.")
}
