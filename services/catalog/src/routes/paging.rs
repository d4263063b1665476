//! Pages of the administrators' lists.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use shop_runtime::http::{Documented, Json, Problem};

const DEFAULT: u64 = 100;
const MAX: u64 = 1000;

/// How many entries are wanted, 1 to 1000.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Limit(u64);

impl Default for Limit {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

impl Limit {
    pub(super) fn checked(&self) -> Result<u64, Problem> {
        if !(1..=MAX).contains(&self.0) {
            return Err(Problem::bad_request(format!("`limit` must be 1 to {MAX}.")));
        }
        Ok(self.0)
    }
}

impl Documented for Limit {
    fn examples() -> Vec<Problem> {
        Self(0).checked().err().into_iter().collect()
    }
}

/// Responds with the first `limit` of `found`; if there are more, the `Link` has the path and query that `next` makes of the last.
pub(super) fn page_of<T, B: Serialize>(
    mut found: Vec<T>,
    limit: u64,
    next: impl FnOnce(&T) -> String,
    body: impl Fn(T) -> B,
) -> Result<Response, Problem> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| has_more).map(next);
    let bodies: Vec<B> = found.into_iter().map(body).collect();
    let mut response = Json(bodies).into_response();
    if let Some(next) = next {
        let link = HeaderValue::try_from(format!("<{next}>; rel=\"next\"")).map_err(Problem::internal)?;
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}
