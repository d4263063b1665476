use chrono::TimeDelta;
use http::{HeaderValue, StatusCode, header};
use sea_orm::DbErr;
use serde_json::Value;
use shop_core::{Money, ProductId};
use shop_runtime::{
    Periodically,
    http::{Documented, Problem},
};
use thiserror::Error;

use crate::{
    domain::{CatalogAway, InvalidBasket, NotTheCustomer, TooMany, Unquotable},
    store::PlaceError,
};

/// Why an order was not placed.
#[derive(Debug, Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Customer(#[from] NotTheCustomer),
    #[error(transparent)]
    Basket(#[from] InvalidBasket),
    #[error(transparent)]
    Quote(#[from] Unquotable),
    #[error(transparent)]
    Catalog(#[from] CatalogAway),
    #[error("the idempotency key was used for another request")]
    KeyReused,
    #[error("the request is still being processed")]
    KeyInProgress,
    #[error("too many guest orders")]
    TooMany(TooMany),
    #[error(transparent)]
    Database(#[from] DbErr),
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl From<TooMany> for Refusal {
    fn from(too_many: TooMany) -> Self {
        Self::TooMany(too_many)
    }
}

impl From<PlaceError> for Refusal {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::ReservationLost => Self::KeyInProgress,
            PlaceError::Database(error) => Self::Database(error),
        }
    }
}

impl Documented for Refusal {
    fn examples() -> Vec<Problem> {
        let product_id = ProductId(1);
        let current_price = Money::from_minor(50_000).unwrap_or_default();
        let refusals = [
            Self::Customer(NotTheCustomer::SomebodyElse),
            Self::Basket(InvalidBasket::Quantity { line: 0, product_id }),
            Self::Quote(Unquotable::UnknownProduct(product_id)),
            Self::Quote(Unquotable::PriceChanged { product_id, current_price }),
            Self::Quote(Unquotable::OutOfStock { product_id, available: 2 }),
            Self::KeyReused,
            Self::KeyInProgress,
            Self::TooMany(TooMany { retry_after: TimeDelta::seconds(1) }),
        ];
        refusals.into_iter().map(Problem::from).collect()
    }
}

impl Refusal {
    /// Logs refusals that are not the client's own mistake, once per period.
    pub(super) fn log(&self) {
        static AWAY: Periodically = Periodically::line();
        static TOO_MANY: Periodically = Periodically::line();
        match self {
            Self::Catalog(CatalogAway(error)) => {
                if let Some(count) = AWAY.due() {
                    tracing::warn!(error = format!("{error:#}"), count, "the catalog is away");
                }
            }
            Self::TooMany(_) => {
                if let Some(count) = TOO_MANY.due() {
                    tracing::warn!(
                        count,
                        "guests' orders were refused: too many for an address or from a client"
                    );
                }
            }
            _ => {}
        }
    }

    /// The label in the metrics: few, and stable.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Customer(_) => "customer",
            Self::Basket(_) => "invalid",
            Self::Quote(Unquotable::UnknownProduct(_)) => "unknown_product",
            Self::Quote(Unquotable::PriceChanged { .. }) => "price_changed",
            Self::Quote(Unquotable::OutOfStock { .. }) => "out_of_stock",
            Self::Quote(Unquotable::MixedCurrencies(..) | Unquotable::TotalTooLarge) => "invalid",
            Self::Catalog(_) => "catalog_away",
            Self::KeyReused | Self::KeyInProgress => "idempotency_key",
            Self::TooMany(_) => "too_many",
            Self::Database(_) | Self::Other(_) => "failed",
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Customer(NotTheCustomer::SomebodyElse) => {
                Self::forbidden(NotTheCustomer::SomebodyElse.to_string())
            }
            Refusal::Customer(missing) => Self::invalid("/customer_email", missing.to_string()),
            Refusal::Basket(invalid) => Self::invalid(pointer(invalid), invalid.to_string()),
            Refusal::Quote(unquotable) => not_for_sale(&unquotable),
            Refusal::Catalog(_) => {
                Self::unavailable("The catalog does not answer, so the prices are unknown.", 2)
            }
            Refusal::KeyReused => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "The Idempotency-Key was used for another request",
            )
            .detail("The key was already sent with a different body. Send a new order with a new key."),
            Refusal::KeyInProgress => Self::new(
                StatusCode::CONFLICT,
                "idempotency-key-in-progress",
                "The request with this Idempotency-Key is still being processed",
            )
            .detail("Repeat the request in a moment to get its response.")
            .header(header::RETRY_AFTER, HeaderValue::from_static("1")),
            Refusal::TooMany(too_many) => too_many_orders(too_many),
            Refusal::Database(error) => Self::from(error),
            Refusal::Other(error) => Self::internal(error),
        }
    }
}

fn too_many_orders(TooMany { retry_after }: TooMany) -> Problem {
    let seconds = (retry_after.num_milliseconds() + 999) / 1000;
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-orders", "Too many orders per minute")
        .detail(format!("Try again in {seconds} seconds, or log in and order with an account."))
        .header(header::RETRY_AFTER, HeaderValue::from(seconds))
}

fn pointer(invalid: InvalidBasket) -> String {
    match invalid {
        InvalidBasket::Empty => "/items".to_owned(),
        InvalidBasket::TooManyProducts { line } => format!("/items/{line}"),
        InvalidBasket::Quantity { line, .. } => format!("/items/{line}/quantity"),
        InvalidBasket::ContradictoryPrices { line, .. } => format!("/items/{line}/price"),
    }
}

fn not_for_sale(unquotable: &Unquotable) -> Problem {
    let detail = unquotable.to_string();
    match unquotable {
        Unquotable::UnknownProduct(id) => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown-product", "There is no such product")
                .with("product_id", id.0)
        }
        Unquotable::PriceChanged { product_id, current_price } => {
            Problem::new(StatusCode::CONFLICT, "price-changed", "The price has changed")
                .with("product_id", product_id.0)
                .with("current_price", number(*current_price))
        }
        Unquotable::OutOfStock { product_id, available } => {
            Problem::new(StatusCode::CONFLICT, "out-of-stock", "There is not enough in stock")
                .with("product_id", product_id.0)
                .with("available", *available)
        }
        Unquotable::MixedCurrencies(..) | Unquotable::TotalTooLarge => {
            return Problem::invalid("/items", detail);
        }
    }
    .detail(detail)
}

/// A problem's members are JSON values, whose numbers are floats; any amount survives the conversion (see [`Money::MAX`]).
fn number(amount: Money) -> Value {
    serde_json::to_value(amount).unwrap_or_default()
}
