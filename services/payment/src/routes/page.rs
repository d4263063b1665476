//! Pages of lists that are ordered by a UUIDv7, newest first.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde::{Deserialize, Serialize};
use shop_core::OrderId;
use shop_runtime::http::{Documented, Json, Problem, cursor};
use uuid::Uuid;

/// The default size of a page.
const DEFAULT_LIMIT: u64 = 100;
/// The maximum size of a page.
const MAX_LIMIT: u64 = 1000;

/// The requested page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// Only of this order.
    order_id: Option<OrderId>,
    /// The maximum number of entries, 100 by default.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
    /// Where the page begins: from the `Link` of the previous page.
    #[param(pattern = "^[A-Za-z0-9_-]{21}[AQgw]$")]
    cursor: Option<String>,
}

/// A validated [`Page`].
pub(super) struct Wanted {
    /// Only of this order.
    pub order_id: Option<OrderId>,
    /// The entry after which the page begins.
    pub after: Option<Uuid>,
    /// The maximum number of entries.
    limit: u64,
}

impl Page {
    /// Checks it.
    pub(super) fn checked(self) -> Result<Wanted, Problem> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Problem::bad_request(format!("limit must be 1 to {MAX_LIMIT}.")));
        }
        let foreign = || Problem::bad_request("cursor must come from a Link header.");
        let after = self.cursor.as_ref().map(|text| cursor::read(text).ok_or_else(foreign)).transpose()?;
        Ok(Wanted { order_id: self.order_id, after, limit })
    }
}

impl Documented for Page {
    fn examples() -> Vec<Problem> {
        Self { order_id: None, limit: Some(0), cursor: None }.checked().err().into_iter().collect()
    }
}

impl Wanted {
    /// How many entries to read: one more than requested shows whether there is a next page.
    pub(super) fn to_read(&self) -> u64 {
        self.limit + 1
    }

    /// The response with `entries`, of which [`to_read`](Self::to_read) were read. `path` is the list's, and `id` what it is ordered by.
    pub(super) fn response<T: Serialize>(
        &self,
        path: &str,
        mut entries: Vec<T>,
        id: impl Fn(&T) -> Uuid,
    ) -> Result<Response, Problem> {
        let limit = self.limit;
        let has_more = entries.len() as u64 > limit;
        entries.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let last = entries.last().map(id).filter(|_| has_more);
        let mut response = Json(entries).into_response();
        if let Some(last) = last {
            let of_order = self.order_id.map(|id| format!("&order_id={id}")).unwrap_or_default();
            let cursor = cursor::after(last);
            let next = format!("<{path}?limit={limit}&cursor={cursor}{of_order}>; rel=\"next\"");
            let next = HeaderValue::try_from(next).map_err(Problem::internal)?;
            response.headers_mut().insert(header::LINK, next);
        }
        Ok(response)
    }
}
