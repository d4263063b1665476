use std::collections::HashMap;

use askama::Template;
use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;
use shop_client::Product;
use shop_core::{
    Currency, Money, ProductId,
    basket::{Line, Total},
};
use uuid::Uuid;

use crate::{
    app::App,
    cart::{Cart, Full, MOST_OF_ONE},
    flash::Flash,
    form::Form,
    local_path::LocalPath,
    page::{Page, Section, render},
    visitor::{Changes, Result, Visit, Visitor},
};

#[derive(Template)]
#[template(path = "cart.html")]
struct CartPage<'a> {
    page: Page<'a>,
    lines: Vec<CartLine>,
    /// `None`: the lines have no sum, see [`shop_core::basket::NoTotal`].
    total: Option<String>,
    /// Whether every line can be ordered as it is.
    may_order: bool,
    /// Why the order that was just sent was not placed.
    refusal: Option<&'static str>,
    /// What "place the order" sends: what the visitor saw, see [`encode_lines`].
    agreed: String,
    key: Uuid,
}

/// A line as the page shows it.
struct CartLine {
    id: ProductId,
    quantity: u32,
    product: Option<Product>,
    sum: Option<Money>,
    /// Why this line cannot be ordered, or what has changed.
    note: Option<String>,
}

/// What a refused order says about the cart.
#[derive(Default)]
pub(super) struct Refused {
    /// Shown above the cart.
    pub(super) reason: Option<&'static str>,
    /// Shown at the lines of these products.
    pub(super) notes: HashMap<ProductId, String>,
    /// The order's idempotency key, when the same order may be sent again: it may have been placed after all.
    pub(super) key: Option<Uuid>,
}

/// `GET /cart`
pub(super) async fn page(State(app): State<App>, Extension(visitor): Visit) -> Result {
    cart_page(&app, &visitor, &visitor.cart, Refused::default(), StatusCode::OK).await
}

/// The page of `cart`, at the catalog's current prices.
pub(super) async fn cart_page(
    app: &App,
    visitor: &Visitor,
    cart: &Cart,
    mut refused: Refused,
    status: StatusCode,
) -> Result {
    let ids = cart.product_ids();
    let mut products = app.catalog.by_ids(&ids).await.map_err(|failure| visitor.stopped_by(failure))?;
    let t = visitor.texts();
    let mut may_order = !cart.is_empty();
    let mut lines = Vec::with_capacity(ids.len());
    for line in cart.lines() {
        let (id, quantity) = (line.product_id, line.quantity);
        let product = products.remove(&id);
        let shortage = match &product {
            None => Some(t.not_sold.to_owned()),
            Some(product) if product.stock == 0 => Some(t.out_of_stock_none.to_owned()),
            Some(product) if product.stock < quantity => {
                Some(t.out_of_stock.replace("{count}", &product.stock.to_string()))
            }
            Some(_) => None,
        };
        may_order &= shortage.is_none();
        let sum = product.as_ref().and_then(|product| product.price.checked_mul(quantity));
        let note = shortage.or_else(|| refused.notes.remove(&id));
        lines.push(CartLine { id, quantity, product, sum, note });
    }
    let page = CartPage {
        page: Page::new(visitor, Section::Cart, t.cart_title).with_cart_count(cart.count()),
        total: total(&lines)
            .map(|total| t.money(&total.amount(), &total.currency().unwrap_or(Currency::RUB))),
        may_order,
        refusal: refused.reason,
        agreed: encode_lines(&lines),
        key: refused.key.unwrap_or_else(|| app.clock.new_id()),
        lines,
    };
    Ok(render(status, &page)?)
}

/// What the lines cost together.
fn total(lines: &[CartLine]) -> Option<Total> {
    let mut total = Total::default();
    for line in lines {
        if let Some(product) = &line.product {
            total.add(line.id, line.quantity, product.price, product.currency).ok()?;
        }
    }
    Some(total)
}

/// What the visitor agrees to by pressing the button: `product:quantity:price`, separated by commas.
fn encode_lines(lines: &[CartLine]) -> String {
    let priced = lines.iter().filter_map(|line| line.product.as_ref().map(|product| (line, product.price)));
    let lines: Vec<String> =
        priced.map(|(line, price)| format!("{}:{}:{price}", line.id, line.quantity)).collect();
    lines.join(",")
}

/// Reads what [`encode_lines`] wrote; `None` for any other text.
pub(super) fn decode_lines(text: &str) -> Option<Vec<Line>> {
    let line = |text: &str| {
        let mut parts = text.splitn(3, ':');
        Some(Line {
            product_id: parts.next()?.parse().ok()?,
            quantity: parts.next()?.parse().ok().filter(|quantity| (1..=MOST_OF_ONE).contains(quantity))?,
            price: Some(parts.next()?.parse().ok()?),
        })
    };
    text.split(',').map(line).collect()
}

#[derive(Deserialize)]
pub(super) struct Change {
    product_id: ProductId,
    /// As typed; one if it is missing.
    quantity: Option<String>,
    next: Option<String>,
}

impl Change {
    fn quantity(&self) -> Option<u32> {
        parse_quantity(self.quantity.as_deref())
    }

    fn back(&self) -> LocalPath {
        self.next.as_deref().and_then(LocalPath::parse).unwrap_or_else(|| LocalPath::or_home(Some("/cart")))
    }
}

/// A quantity as a person types it, from 0 to [`MOST_OF_ONE`]; an empty field is one.
pub(super) fn parse_quantity(text: Option<&str>) -> Option<u32> {
    match text.map(str::trim) {
        None | Some("") => Some(1),
        Some(text) => text.parse().ok().filter(|quantity| *quantity <= MOST_OF_ONE),
    }
}

/// `POST /cart/add`
pub(super) async fn add(Extension(visitor): Visit, Form { fields: form, .. }: Form<Change>) -> Result {
    let mut cart = visitor.cart.clone();
    let flash = match form.quantity() {
        None | Some(0) => Flash::BadQuantity,
        Some(quantity) => match cart.add(form.product_id, quantity) {
            Ok(()) => Flash::AddedToCart,
            Err(Full) => Flash::CartIsFull,
        },
    };
    Ok(back_with(&form, cart, flash))
}

/// `POST /cart/update`
pub(super) async fn update(Extension(visitor): Visit, Form { fields: form, .. }: Form<Change>) -> Result {
    let mut cart = visitor.cart.clone();
    let flash = match form.quantity() {
        None => Flash::BadQuantity,
        Some(quantity) => match cart.set(form.product_id, quantity) {
            Ok(()) => Flash::CartUpdated,
            Err(Full) => Flash::CartIsFull,
        },
    };
    Ok(back_with(&form, cart, flash))
}

/// `POST /cart/remove`
pub(super) async fn remove(Extension(visitor): Visit, Form { fields: form, .. }: Form<Change>) -> Result {
    let mut cart = visitor.cart.clone();
    cart.remove(form.product_id);
    Ok(back_with(&form, cart, Flash::RemovedFromCart))
}

fn back_with(form: &Change, cart: Cart, flash: Flash) -> Response {
    let changes = Changes::default().with_cart(cart).with_flash(flash);
    (changes, Redirect::to(form.back().as_str())).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_visitor_agreed_to_is_read_back() {
        let lines = decode_lines("1:2:500.00,7:1:1500.00").unwrap();
        assert_eq!((lines[0].product_id, lines[0].quantity), (ProductId(1), 2));
        assert_eq!(lines[1].price, Some("1500".parse().unwrap()));
        for rubbish in ["", ",", "1:2", "1:0:5", "1:100:5", "1:1:-5", "1:1:5:6", "x:1:5"] {
            assert!(decode_lines(rubbish).is_none(), "{rubbish}");
        }
    }

    #[test]
    fn a_quantity_is_a_small_whole_number() {
        assert_eq!(parse_quantity(None), Some(1));
        assert_eq!(parse_quantity(Some(" 3 ")), Some(3));
        for rubbish in ["-1", "1.5", "x", "100", "99999999999999999999"] {
            assert_eq!(parse_quantity(Some(rubbish)), None, "{rubbish}");
        }
    }
}
