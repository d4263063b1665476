use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::{HeaderName, request::Parts};
use serde::Deserialize;
use shop_runtime::{
    auth::{Admin, Caller},
    http::{Documented, Problem, Query},
};

use crate::{
    app::App,
    domain::{Account, NotAToken, OrderToken, Viewer},
};

const ORDER_TOKEN: HeaderName = HeaderName::from_static("x-order-token");

/// The bearer of the request's token; without a token a guest, if guests are allowed.
impl FromRequestParts<App> for Viewer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = <Caller as OptionalFromRequestParts<App>>::from_request_parts(parts, app).await?;
        let Some(caller) = caller else {
            return if app.guest_checkout { Ok(Self::Guest) } else { Err(Caller::missing()) };
        };
        Ok(if caller.is_admin() { Self::Admin(account(caller)) } else { Self::Customer(account(caller)) })
    }
}

impl From<Admin> for Viewer {
    fn from(Admin(caller): Admin) -> Self {
        Self::Admin(account(caller))
    }
}

fn account(caller: Caller) -> Account {
    Account { id: caller.id, email: caller.email }
}

impl Documented for Viewer {
    fn examples() -> Vec<Problem> {
        Caller::examples()
    }
}

/// The caller for one order: the bearer of the request's token, or else the holder of the order's own token.
///
/// An order token is valid as long as its order exists, whether or not new guests may order.
pub(super) struct ViewerOfOne(pub Viewer);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InQuery {
    token: Option<String>,
}

impl FromRequestParts<App> for ViewerOfOne {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let token = order_token(parts).await?;
        match (token, parts.headers.contains_key(http::header::AUTHORIZATION)) {
            (Some(token), false) => Ok(Self(Viewer::Holder(token.hash()))),
            _ => Viewer::from_request_parts(parts, app).await.map(Self),
        }
    }
}

impl Documented for ViewerOfOne {
    fn examples() -> Vec<Problem> {
        let mut examples = Viewer::examples();
        examples.push(not_a_token(NotAToken));
        examples
    }
}

fn not_a_token(error: NotAToken) -> Problem {
    Problem::bad_request(error.to_string())
}

/// From the header, or else, for links in e-mails, from the query.
async fn order_token(parts: &mut Parts) -> Result<Option<OrderToken>, Problem> {
    let Query(InQuery { token: in_query }) = Query::from_request_parts(parts, &()).await?;
    let mut headers = parts.headers.get_all(ORDER_TOKEN).iter();
    let in_header = headers.next().map(|value| value.to_str().unwrap_or_default());
    if headers.next().is_some() {
        return Err(Problem::bad_request("There is more than one X-Order-Token header."));
    }
    let read = |text: &str| text.parse().map_err(not_a_token);
    let in_query = in_query.as_deref().map(read).transpose()?;
    Ok(in_header.map(read).transpose()?.or(in_query))
}
