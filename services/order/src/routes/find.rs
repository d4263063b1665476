use axum::extract::State;
use shop_core::OrderId;
use shop_runtime::http::{Json, Path, Problem, Problems, Responses};
use utoipa::{IntoResponses, PartialSchema as _};

use super::{App, representation::OrderBody, viewer::ViewerOfOne};
use crate::domain::NotAToken;

/// Which order, and for a guest the proof that it is theirs; read by [`ViewerOfOne`].
pub(super) struct One;

/// 256 bits in base64url, whose last character holds four of them.
const TOKEN: &str = "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$";

impl utoipa::IntoParams for One {
    fn into_params(
        _: impl Fn() -> Option<utoipa::openapi::path::ParameterIn>,
    ) -> Vec<utoipa::openapi::path::Parameter> {
        use utoipa::openapi::{
            ObjectBuilder, Required,
            path::{ParameterBuilder, ParameterIn},
            schema::Type,
        };

        let id = ParameterBuilder::new().name("id").parameter_in(ParameterIn::Path).required(Required::True);
        let token = |name: &str, place: ParameterIn, description: &str| {
            let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some(TOKEN));
            let parameter = ParameterBuilder::new().name(name).parameter_in(place).required(Required::False);
            parameter.schema(Some(schema)).description(Some(description)).build()
        };
        vec![
            id.schema(Some(OrderId::schema())).description(Some("The order's id")).build(),
            token(
                "X-Order-Token",
                ParameterIn::Header,
                "The `order_token` of a guest's order, which nobody else but the shop may see",
            ),
            token(
                "token",
                ParameterIn::Query,
                "The same where no header can be sent, as in a link, which ends up in histories and logs; the header goes first",
            ),
        ]
    }
}

/// What a request for one order is refused with.
pub(super) fn problems_of_one() -> Problems {
    Problems::of_every_request()
        .with_database()
        .with_access_token()
        .with(Problem::bad_request(NotAToken.to_string()))
        .with(no_such_order())
}

pub(super) struct FindProblems;

impl IntoResponses for FindProblems {
    fn responses() -> Responses {
        problems_of_one().responses()
    }
}

/// Shows an order
///
/// The order of an account needs its owner's access token, a guest's order its order token.
#[utoipa::path(
    get,
    path = "/orders/{id}",
    tag = "orders",
    params(One),
    security(("bearer" = []), ()),
    responses((status = 200, body = OrderBody, description = "The order"), FindProblems)
)]
pub(super) async fn find(
    State(app): State<App>,
    ViewerOfOne(viewer): ViewerOfOne,
    Path(id): Path<OrderId>,
) -> Result<Json<OrderBody>, Problem> {
    match app.store.find(&viewer, id).await? {
        Some(order) => Ok(Json(OrderBody::from(&order))),
        None => Err(no_such_order()),
    }
}

/// Says the same of an order of somebody else and of one that does not exist.
pub(super) fn no_such_order() -> Problem {
    Problem::not_found("There is no such order.")
}
