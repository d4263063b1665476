//! Shared parts of requests for one order.

use shop_core::OrderId;
use shop_runtime::http::{Documented, Problem};
use utoipa::PartialSchema as _;

/// Which order, and for a guest the proof that it is theirs; read by [`super::viewer::ViewerOfOne`].
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
                "The `order_token` of a guest's order, without which only the shop may see it",
            ),
            token(
                "token",
                ParameterIn::Query,
                "The same for places that cannot send headers, such as links. URLs end up in histories and logs; the header takes precedence",
            ),
        ]
    }
}

/// 404: the same for somebody else's order and for one that does not exist.
pub(super) struct NoSuchOrder;

impl From<NoSuchOrder> for Problem {
    fn from(NoSuchOrder: NoSuchOrder) -> Self {
        Self::not_found("There is no such order.")
    }
}

impl Documented for NoSuchOrder {
    fn examples() -> Vec<Problem> {
        vec![Self.into()]
    }
}
