use std::collections::HashMap;

use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;
use shop_core::{Money, ProductId};
use shop_runtime::{Periodically, http::Problem};
use uuid::Uuid;

use super::cart::{Refused, cart_page, decode_lines, parse_quantity};
use crate::{
    cart::Cart,
    clients::{Failure, NewLine, Refusal},
    form::Form,
    i18n::Lang,
    local_path::LocalPath,
    session::Flash,
    state::AppState,
    visitor::{Changes, Result, Visit, Visitor},
};

/// An order: what the cart's page showed (`lines`), or one product, or else the cart.
#[derive(Deserialize)]
pub(super) struct Checkout {
    lines: Option<String>,
    product_id: Option<ProductId>,
    quantity: Option<String>,
    /// Made with the page, so that sending the form twice places one order.
    key: Option<Uuid>,
}

/// What is ordered, and what the cart looks like before it is.
struct Wanted {
    lines: Vec<NewLine>,
    /// Keeps what is ordered if the order cannot be placed now.
    cart: Cart,
    is_whole_cart: bool,
}

impl Wanted {
    /// The cart with all that is wanted in it, though it was emptied since.
    fn filled_in(&self) -> Cart {
        let mut cart = self.cart.clone();
        for line in &self.lines {
            let quantity = line.quantity.max(cart.quantity(line.product_id));
            if cart.set(line.product_id, quantity).is_err() {
                tracing::debug!("the cart is full: a line of an order that was sent again is not kept in it");
            }
        }
        cart
    }
}

/// `POST /order`
pub(super) async fn order(
    State(state): State<AppState>,
    Extension(visitor): Visit,
    Form { fields: form, is_stale }: Form<Checkout>,
) -> Result {
    let to_cart = || LocalPath::or_home(Some("/cart"));
    let Some(wanted) = wanted(&form, &visitor.cart)? else {
        let changes = Changes::default().with_flash(Flash::BadQuantity);
        return Ok((changes, Redirect::to(to_cart().as_str())).into_response());
    };
    if wanted.lines.is_empty() {
        return Ok(Redirect::to(to_cart().as_str()).into_response());
    }
    let keeping_cart = || Changes::default().with_cart(wanted.cart.clone());
    let Some(account) = visitor.session.account() else {
        return Ok(visitor.to_login(&to_cart(), keeping_cart()));
    };
    if is_stale {
        let again = Refused { reason: Some(visitor.lang.texts().cart_look_again), ..Refused::default() };
        let cart = wanted.filled_in();
        let page = cart_page(&state, &visitor, &cart, again, StatusCode::CONFLICT).await?;
        return Ok((Changes::default().with_cart(cart), page).into_response());
    }
    let key = form.key.unwrap_or_else(|| state.clock.new_id());
    match state.orders.place(account, key, &wanted.lines).await {
        Ok(order) => {
            let changes = Changes::default().with_flash(Flash::OrderPlaced);
            let changes = if wanted.is_whole_cart { changes.with_cart(Cart::default()) } else { changes };
            Ok((changes, Redirect::to(&format!("/orders/{}", order.id))).into_response())
        }
        Err(Failure::Unauthorized) => Ok(visitor.to_login(&to_cart(), keeping_cart())),
        Err(Failure::Refused(refusal)) if refusal.slug == "idempotency-key-in-progress" => {
            let changes = Changes::default().with_flash(Flash::OrderInProgress);
            Ok((changes, Redirect::to("/orders")).into_response())
        }
        Err(failure) => refused(&state, &visitor, &wanted, failure).await,
    }
}

/// `None`: the quantity makes no sense.
fn wanted(form: &Checkout, cart: &Cart) -> Result<Option<Wanted>, Problem> {
    if let Some(lines) = &form.lines {
        let lines =
            decode_lines(lines).ok_or_else(|| Problem::bad_request("The order's lines cannot be read."))?;
        return Ok(Some(Wanted { lines, cart: cart.clone(), is_whole_cart: true }));
    }
    let Some(product_id) = form.product_id else {
        let lines = cart.lines().iter().map(|line| NewLine {
            product_id: line.product_id,
            quantity: line.quantity,
            price: None,
        });
        return Ok(Some(Wanted { lines: lines.collect(), cart: cart.clone(), is_whole_cart: true }));
    };
    let Some(quantity) = parse_quantity(form.quantity.as_deref()).filter(|quantity| *quantity > 0) else {
        return Ok(None);
    };
    let mut with_it = cart.clone();
    // Not `add`: reloading the answer sends the form again, and must not make it more.
    if with_it.set(product_id, quantity.max(cart.quantity(product_id))).is_err() {
        tracing::debug!("the cart is full: a single order that cannot be placed is not kept in it");
    }
    let lines = vec![NewLine { product_id, quantity, price: None }];
    Ok(Some(Wanted { lines, cart: with_it, is_whole_cart: false }))
}

/// The cart again, with the reason where it belongs.
async fn refused(state: &AppState, visitor: &Visitor, wanted: &Wanted, failure: Failure) -> Result<Response> {
    let t = visitor.lang.texts();
    let (status, refused) = match failure {
        Failure::Away { .. } => {
            static AWAY: Periodically = Periodically::line();
            if let Some(count) = AWAY.due() {
                tracing::warn!(error = %failure, count, "orders were not placed");
            }
            (
                StatusCode::SERVICE_UNAVAILABLE,
                Refused { reason: Some(t.cart_orders_away), ..Refused::default() },
            )
        }
        Failure::Busy { .. } => {
            (StatusCode::TOO_MANY_REQUESTS, Refused { reason: Some(t.cart_busy), ..Refused::default() })
        }
        Failure::Refused(refusal) => (refusal.status, explain(visitor.lang, &refusal, &wanted.lines)),
        failure => return Err(visitor.stopped_by(failure)),
    };
    let page = cart_page(state, visitor, &wanted.cart, refused, status).await?;
    Ok((Changes::default().with_cart(wanted.cart.clone()), page).into_response())
}

/// The words for a refusal, at the line that it names.
fn explain(lang: Lang, refusal: &Refusal, lines: &[NewLine]) -> Refused {
    let t = lang.texts();
    let product = refusal.body["product_id"].as_i64().map(ProductId);
    let line = lines.iter().find(|line| Some(line.product_id) == product);
    let note = match refusal.slug.as_str() {
        "price-changed" => {
            let new: Option<Money> = refusal.body["current_price"].to_string().parse().ok();
            new.map(|new| price_note(lang, line.and_then(|line| line.price), new))
        }
        "out-of-stock" => Some(match refusal.body["available"].as_u64() {
            Some(0) | None => t.out_of_stock_none.to_owned(),
            Some(left) => t.out_of_stock.replace("{count}", &left.to_string()),
        }),
        "unknown-product" => Some(t.not_sold.to_owned()),
        "idempotency-key-reused" => {
            return Refused { reason: Some(t.cart_form_reused), ..Refused::default() };
        }
        slug => {
            static REFUSED: Periodically = Periodically::line();
            if let Some(count) = REFUSED.due() {
                tracing::warn!(slug, count, "orders were refused");
            }
            None
        }
    };
    match (line, note) {
        (Some(line), Some(note)) => {
            Refused { reason: Some(t.cart_see_lines), notes: HashMap::from([(line.product_id, note)]) }
        }
        _ => Refused { reason: Some(t.cart_refused), ..Refused::default() },
    }
}

fn price_note(lang: Lang, old: Option<Money>, new: Money) -> String {
    let t = lang.texts();
    // The order's own answer has no currency; the shop has one.
    let new = lang.money(&new, "RUB");
    match old {
        Some(old) => t.price_changed.replace("{old}", &lang.money(&old, "RUB")).replace("{new}", &new),
        None => t.price_changed_now.replace("{new}", &new),
    }
}
