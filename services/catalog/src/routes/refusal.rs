use shop_runtime::http::{Documented, Problem};

/// 404: no product has this id.
pub(super) struct NoSuchProduct;

impl From<NoSuchProduct> for Problem {
    fn from(NoSuchProduct: NoSuchProduct) -> Self {
        Self::not_found("There is no such product.")
    }
}

impl Documented for NoSuchProduct {
    fn examples() -> Vec<Problem> {
        vec![Self.into()]
    }
}
