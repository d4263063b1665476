use std::{collections::HashMap, fmt::Write as _};

use shop_client::{Product, Slice};
use shop_core::{
    Currency, Language, Money, ProductId,
    basket::{Line, Total},
};

use super::reply::{Reply, button, clipped, page_buttons, shown};
use crate::{commands::Draft, press::Press};

/// A draft with the catalog's names and prices.
#[derive(Clone, Debug)]
pub(crate) struct Priced {
    lines: Vec<(Product, u32)>,
}

impl Priced {
    /// Drops products that the catalog no longer has.
    pub(crate) fn new(draft: &Draft, mut known: HashMap<ProductId, Product>) -> Self {
        let lines = draft.lines().iter();
        let lines = lines.filter_map(|line| Some((known.remove(&line.product_id)?, line.quantity)));
        Self { lines: lines.collect() }
    }

    /// The draft without the products that were dropped.
    pub(crate) fn draft(&self) -> Draft {
        self.lines.iter().fold(Draft::default(), |draft, (product, quantity)| {
            // What was within the limits stays within them when lines are dropped.
            draft.clone().with(product.id, *quantity).unwrap_or(draft)
        })
    }

    /// The lines of an order at these prices.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let line = |(product, quantity): &(Product, u32)| Line {
            product_id: product.id,
            quantity: *quantity,
            price: Some(product.price),
        };
        self.lines.iter().map(line).collect()
    }

    /// The sum, and its currency. `None` when there is none: nothing is in it, currencies are mixed, or it is more than an
    /// order can come to.
    pub(crate) fn total(&self) -> Option<(Money, Currency)> {
        let mut total = Total::default();
        for (product, quantity) in &self.lines {
            total.add(product.id, *quantity, product.price, product.currency).ok()?;
        }
        Some((total.amount(), total.currency()?))
    }
}

/// A page of products with the draft below them, and buttons to add products and to order.
pub(crate) fn products(language: Language, page: usize, products: &Slice<Product>, basket: &Priced) -> Reply {
    let draft = basket.draft();
    let mut text = language.choose(
        format!("<b>Products</b>, page {}", page + 1),
        format!("<b>Товары</b>, страница {}", page + 1),
    );
    if products.items.is_empty() {
        text += language.choose("\n\nThere is nothing here yet.", "\n\nЗдесь пока ничего нет.");
    }
    for product in &products.items {
        text += &described(language, product);
    }
    text += &summary(language, basket);

    let adding = products.items.iter().filter(|product| product.stock > 0).map(|product| {
        let label = format!("➕ {} · {}", product.id, clipped(&product.name, 24));
        button(label, &Press::Add { page, product: product.id, draft: draft.clone() })
    });
    let adding: Vec<_> = adding.collect();
    let mut reply = adding.chunks(2).fold(Reply::new(text), |reply, row| reply.row(row.to_vec()));
    reply =
        reply.row(page_buttons(page, products.more, |page| Press::Products { page, draft: draft.clone() }));
    if let Some((total, currency)) = basket.total() {
        let total_shown = total.for_people(language, currency);
        reply = reply.row([button(
            language.choose(format!("✅ Order for {total_shown}"), format!("✅ Заказать на {total_shown}")),
            &Press::Order { total, draft },
        )]);
    }
    if !basket.lines.is_empty() {
        let empty = Press::Products { page, draft: Draft::default() };
        reply = reply.row([button(language.choose("🗑 Empty the order", "🗑 Очистить заказ"), &empty)]);
    }
    reply
}

fn described(language: Language, product: &Product) -> String {
    let mut text = format!(
        "\n\n<b>{}. {}</b> — {}",
        product.id,
        shown(&product.name, 80),
        product.price.for_people(language, product.currency)
    );
    if !product.description.trim().is_empty() {
        // Writing to a String does not fail.
        let _ = write!(text, "\n{}", shown(&product.description, 140));
    }
    let stock = match product.stock {
        0 => language.choose("out of stock", "нет в наличии").to_owned(),
        stock => language.choose(format!("in stock: {stock}"), format!("в наличии: {stock}")),
    };
    format!("{text}\n<i>{stock}</i>")
}

fn summary(language: Language, basket: &Priced) -> String {
    if basket.lines.is_empty() {
        return language
            .choose("\n\nPress ➕ to put together an order.", "\n\nНажимайте ➕, чтобы собрать заказ.")
            .to_owned();
    }
    let mut text = language.choose("\n\n<b>Your order</b>", "\n\n<b>Ваш заказ</b>").to_owned();
    for (product, quantity) in &basket.lines {
        let amount = product.price.checked_mul(*quantity).unwrap_or(Money::MAX);
        let amount = amount.for_people(language, product.currency);
        let _ = write!(text, "\n{} × {quantity} — {amount}", shown(&product.name, 40));
    }
    if let Some((total, currency)) = basket.total() {
        let total = total.for_people(language, currency);
        text += &language.choose(format!("\n<b>Total: {total}</b>"), format!("\n<b>Итого: {total}</b>"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(id: i64, name: &str, minor: i64) -> Product {
        Product {
            id: ProductId(id),
            name: name.to_owned(),
            description: "As described".to_owned(),
            price: Money::from_minor(minor).unwrap(),
            currency: Currency::RUB,
            category: String::new(),
            stock: 3,
        }
    }

    fn basket(draft: &str, known: &[Product]) -> Priced {
        let known = known.iter().map(|product| (product.id, product.clone())).collect();
        Priced::new(&draft.parse().unwrap(), known)
    }

    fn labels(reply: &Reply) -> Vec<Vec<String>> {
        let keyboard = reply.keyboard.clone().unwrap_or_default().inline_keyboard;
        keyboard.into_iter().map(|row| row.into_iter().map(|button| button.text).collect()).collect()
    }

    #[test]
    fn a_page_shows_products_the_order_and_its_buttons() {
        let listed = [product(1, "Mug <large>", 50_000), Product { stock: 0, ..product(2, "Lamp", 150_000) }];
        let basket = basket("1:2,9", &listed);
        let page = Slice { items: listed.to_vec(), more: true };
        let reply = products(Language::English, 1, &page, &basket);
        insta::assert_snapshot!(reply.text.replace('\u{a0}', " "), @r"
        <b>Products</b>, page 2

        <b>1. Mug &lt;large&gt;</b> — RUB 500.00
        As described
        <i>in stock: 3</i>

        <b>2. Lamp</b> — RUB 1,500.00
        As described
        <i>out of stock</i>

        <b>Your order</b>
        Mug &lt;large&gt; × 2 — RUB 1,000.00
        <b>Total: RUB 1,000.00</b>
        ");
        let labels = labels(&reply);
        assert_eq!(labels[0], ["➕ 1 · Mug <large>"], "what is out of stock cannot be added");
        assert_eq!(labels[1], ["◀️", "▶️"]);
        assert_eq!(labels[2], ["✅ Order for RUB\u{a0}1,000.00"]);
        assert_eq!(labels[3], ["🗑 Empty the order"]);
    }

    #[test]
    fn the_longest_page_is_a_message_that_telegram_takes() {
        let long = "🦀".repeat(2000);
        let listed: Vec<_> = (1..=8)
            .map(|id| Product {
                description: long.clone(),
                stock: u32::MAX,
                ..product(i64::MAX - id, &long, 999_999_999_999)
            })
            .collect();
        let known: Vec<_> = (1..=19).map(|id| product(id, &long, 999_999_999_999)).collect();
        let draft = "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16";
        assert!(crate::press::fits(&draft.parse().unwrap()));
        let basket = basket(draft, &known);
        let page = Slice { items: listed, more: true };
        for language in [Language::English, Language::Russian] {
            let text = products(language, 99, &page, &basket).text;
            let visible = text.replace("<b>", "").replace("</b>", "").replace("<i>", "").replace("</i>", "");
            let units = visible.encode_utf16().count();
            assert!(units <= 4096, "{units}");
        }
    }

    #[test]
    fn a_sum_needs_one_currency_and_has_a_limit() {
        let mug = product(1, "Mug", 50_000);
        assert_eq!(
            basket("1:2", std::slice::from_ref(&mug)).total(),
            Some((Money::from_minor(100_000).unwrap(), Currency::RUB))
        );
        let foreign = Product { currency: "EUR".parse().unwrap(), ..product(2, "Lamp", 1) };
        assert_eq!(basket("1,2", &[mug.clone(), foreign]).total(), None);
        assert_eq!(basket("3:1000", &[product(3, "Gold", Money::MAX.minor())]).total(), None);
        assert_eq!(basket("7", &[mug]).total(), None, "nothing is in it");
    }
}
