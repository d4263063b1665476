use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use http::{HeaderValue, header};
use sea_orm::DbErr;
use serde::{Deserialize, Serialize};
use shop_core::OrderId;
use shop_runtime::{
    auth::Admin,
    http::{Documented, Json, Problem, Problems, Query, cursor},
};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    app::App,
    domain::Channel,
    store::{self, Filter},
};

/// The default size of a page.
const DEFAULT_LIMIT: u64 = 100;
/// The maximum size of a page.
const MAX_LIMIT: u64 = 1000;

/// The requested page.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// Only notifications about this order.
    #[param(value_type = Option<OrderId>)]
    order_id: Option<Uuid>,
    /// The maximum number of notifications, 100 by default.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
    /// Where the page begins: from the `Link` of the previous page.
    #[param(pattern = "^[A-Za-z0-9_-]{21}[AQgw]$")]
    cursor: Option<String>,
}

impl Page {
    fn checked(&self) -> Result<Filter, Problem> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Problem::bad_request(format!("limit must be 1 to {MAX_LIMIT}.")));
        }
        let foreign = || Problem::bad_request("cursor must come from a Link header.");
        let before = self.cursor.as_ref().map(|text| cursor::read(text).ok_or_else(foreign)).transpose()?;
        Ok(Filter { order_id: self.order_id.map(OrderId), before, limit })
    }

    /// The `Link` of the page after the one that ends with `last`.
    fn next(&self, limit: u64, last: Uuid) -> String {
        let order = self.order_id.map(|id| format!("&order_id={id}")).unwrap_or_default();
        format!("</notifications?limit={limit}{order}&cursor={}>; rel=\"next\"", cursor::after(last))
    }
}

impl Documented for Page {
    fn examples() -> Vec<Problem> {
        Self { limit: Some(0), ..Self::default() }.checked().err().into_iter().collect()
    }
}

/// Something that a customer was told.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Notification)]
pub(super) struct NotificationBody {
    /// The notification.
    id: Uuid,
    /// The order that it is about.
    order_id: OrderId,
    /// The event that it is about, such as `order_confirmed`.
    event_type: String,
    /// How the customer was told.
    channel: Channel,
    /// The address, or the chat.
    to: String,
    /// Whether the customer was told.
    state: store::State,
    /// When.
    created_at: DateTime<Utc>,
}

impl From<store::Notification> for NotificationBody {
    fn from(notification: store::Notification) -> Self {
        Self {
            id: notification.id,
            order_id: notification.order_id,
            event_type: notification.event_type,
            channel: notification.channel,
            to: notification.recipient,
            state: notification.state,
            created_at: notification.created_at,
        }
    }
}

/// Lists what customers were told, newest first
#[utoipa::path(
    get,
    path = "/notifications",
    tag = "notifications",
    params(Page),
    security(("bearer" = [])),
    responses(
        (status = 200, body = Vec<NotificationBody>, description = "A page of notifications", headers(
            ("Link" = String, description = "The next page, `rel=\"next\"`, if there is one")
        )),
        Problems<(DbErr, Admin, Page)>,
    )
)]
pub(super) async fn list(
    State(app): State<App>,
    _admin: Admin,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    let filter = page.checked()?;
    // One more than requested shows whether there is a next page.
    let more = Filter { limit: filter.limit + 1, ..filter };
    let mut notifications = app.store.notifications(more).await?;
    let has_next = notifications.len() as u64 > filter.limit;
    notifications.truncate(usize::try_from(filter.limit).unwrap_or(usize::MAX));
    let last = notifications.last().map(|notification| notification.id);
    let bodies: Vec<NotificationBody> = notifications.into_iter().map(Into::into).collect();
    let mut response = Json(bodies).into_response();
    if let Some(last) = last.filter(|_| has_next) {
        let next = HeaderValue::try_from(page.next(filter.limit, last)).map_err(Problem::internal)?;
        response.headers_mut().insert(header::LINK, next);
    }
    Ok(response)
}
