use std::collections::HashMap;

use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;
use shop_client::{Failure, NewOrder, Refusal};
use shop_core::{Currency, Money, ProductId, basket::Line};
use shop_runtime::{Periodically, http::Problem};
use uuid::Uuid;

use super::cart::{Refused, cart_page, decode_lines, parse_quantity};
use crate::{
    app::App,
    cart::Cart,
    flash::Flash,
    form::Form,
    i18n::Texts,
    local_path::LocalPath,
    visitor::{Changes, Result, Visit, Visitor},
};

/// The form of an order: what the cart's page showed (`lines`), or one product, or else the whole cart.
#[derive(Deserialize)]
pub(super) struct Checkout {
    lines: Option<String>,
    product_id: Option<ProductId>,
    quantity: Option<String>,
    /// Made with the page, so that sending the form twice places one order.
    key: Option<Uuid>,
}

/// What is ordered, and the cart before that.
struct Wanted {
    lines: Vec<Line>,
    /// What stays in the cart if the order cannot be placed now.
    cart: Cart,
    is_whole_cart: bool,
}

impl Wanted {
    /// The cart with everything that is wanted, even if it has been emptied since.
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
    State(app): State<App>,
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
        let again = Refused { reason: Some(visitor.texts().cart_look_again), ..Refused::default() };
        let cart = wanted.filled_in();
        let page = cart_page(&app, &visitor, &cart, again, StatusCode::CONFLICT).await?;
        return Ok((Changes::default().with_cart(cart), page).into_response());
    }
    let key = form.key.unwrap_or_else(|| app.clock.new_id());
    let order = NewOrder {
        customer_email: Some(&account.email),
        items: &wanted.lines,
        language: Some(visitor.language),
    };
    match app.orders.place(&account.token, key, &order).await {
        Ok(order) => {
            let changes = Changes::default().with_flash(Flash::OrderPlaced);
            let changes = if wanted.is_whole_cart { changes.with_cart(Cart::default()) } else { changes };
            Ok((changes, Redirect::to(&format!("/orders/{}", order.id))).into_response())
        }
        Err(Failure::Unauthorized(_)) => Ok(visitor.to_login(&to_cart(), keeping_cart())),
        Err(failure) if failure.is_refused_as("idempotency-key-in-progress") => {
            let changes = Changes::default().with_flash(Flash::OrderInProgress);
            Ok((changes, Redirect::to("/orders")).into_response())
        }
        Err(failure) => refused(&app, &visitor, &wanted, key, failure).await,
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
        let lines = cart.lines().to_vec();
        return Ok(Some(Wanted { lines, cart: cart.clone(), is_whole_cart: true }));
    };
    let Some(quantity) = parse_quantity(form.quantity.as_deref()).filter(|quantity| *quantity > 0) else {
        return Ok(None);
    };
    let mut with_it = cart.clone();
    // Not `add`: reloading the page sends the form again, and must not add to the quantity.
    if with_it.set(product_id, quantity.max(cart.quantity(product_id))).is_err() {
        tracing::debug!("the cart is full: a single order that cannot be placed is not kept in it");
    }
    let lines = vec![Line { product_id, quantity, price: None }];
    Ok(Some(Wanted { lines, cart: with_it, is_whole_cart: false }))
}

/// Shows the cart again, with the reason beside the line that it is about.
async fn refused(
    app: &App,
    visitor: &Visitor,
    wanted: &Wanted,
    key: Uuid,
    failure: Failure,
) -> Result<Response> {
    let t = visitor.texts();
    let (status, refused) = match failure {
        Failure::Unavailable { .. } => {
            static UNAVAILABLE: Periodically = Periodically::line();
            if let Some(count) = UNAVAILABLE.due() {
                tracing::warn!(error = %failure, count, "orders were not placed");
            }
            (
                StatusCode::SERVICE_UNAVAILABLE,
                Refused { reason: Some(t.cart_orders_away), key: Some(key), ..Refused::default() },
            )
        }
        Failure::Refused(refusal) => (refusal.status, explain(t, &refusal, &wanted.lines)),
        failure => return Err(visitor.stopped_by(failure)),
    };
    let page = cart_page(app, visitor, &wanted.cart, refused, status).await?;
    Ok((Changes::default().with_cart(wanted.cart.clone()), page).into_response())
}

/// The words for a refusal, for the line that it names.
fn explain(t: &Texts, refusal: &Refusal, lines: &[Line]) -> Refused {
    if refusal.status == StatusCode::TOO_MANY_REQUESTS {
        return Refused { reason: Some(t.cart_busy), ..Refused::default() };
    }
    let product = refusal.product_id();
    let line = lines.iter().find(|line| Some(line.product_id) == product);
    let note = match refusal.slug.as_str() {
        "price-changed" => {
            let new = refusal.current_price();
            new.map(|new| price_note(t, line.and_then(|line| line.price), new))
        }
        "out-of-stock" => Some(match refusal.available() {
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
        (Some(line), Some(note)) => Refused {
            reason: Some(t.cart_see_lines),
            notes: HashMap::from([(line.product_id, note)]),
            key: None,
        },
        _ => Refused { reason: Some(t.cart_refused), ..Refused::default() },
    }
}

fn price_note(t: &Texts, old: Option<Money>, new: Money) -> String {
    // The refusal has no currency; the shop has only one.
    let new = t.money(&new, &Currency::RUB);
    match old {
        Some(old) => t.price_changed.replace("{old}", &t.money(&old, &Currency::RUB)).replace("{new}", &new),
        None => t.price_changed_now.replace("{new}", &new),
    }
}
