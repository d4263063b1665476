use std::{collections::HashMap, fmt::Write as _};

use shop_core::{Money, ProductId};

use super::{Language, Reply, button, clipped, page_buttons, price, shown};
use crate::{
    commands::Draft,
    press::Press,
    shop::{Page, Product},
};

/// A draft with the catalog's names and prices.
#[derive(Clone, Debug)]
pub(crate) struct Basket {
    lines: Vec<(Product, u32)>,
}

impl Basket {
    /// Products that the catalog has no more fall out of the draft.
    pub(crate) fn new(draft: &Draft, mut known: HashMap<ProductId, Product>) -> Self {
        let lines = draft.lines().iter().filter_map(|(id, quantity)| Some((known.remove(id)?, *quantity)));
        Self { lines: lines.collect() }
    }

    /// What is left of the draft.
    pub(crate) fn draft(&self) -> Draft {
        self.lines.iter().fold(Draft::default(), |draft, (product, quantity)| {
            // What was within bounds stays so when lines fall out.
            draft.clone().with(product.id, *quantity).unwrap_or(draft)
        })
    }

    pub(crate) fn lines(&self) -> &[(Product, u32)] {
        &self.lines
    }

    /// `None` when there is no sum: nothing is in it, currencies are mixed, or it is more than an order can be.
    pub(crate) fn total(&self) -> Option<Money> {
        let currency = self.currency()?;
        self.lines.iter().try_fold(Money::ZERO, |total, (product, quantity)| {
            let amount = product.price.checked_mul(*quantity)?;
            total.checked_add(amount).filter(|_| product.currency == currency)
        })
    }

    fn currency(&self) -> Option<&str> {
        self.lines.first().map(|(product, _)| product.currency.as_str())
    }
}

/// A page of the products, with the draft under it and buttons to add to it and to order it.
pub(crate) fn products(language: Language, page: usize, products: &Page<Product>, basket: &Basket) -> Reply {
    let draft = basket.draft();
    let mut text = language
        .say(format!("<b>Products</b>, page {}", page + 1), format!("<b>Товары</b>, страница {}", page + 1));
    if products.items.is_empty() {
        text += language.say("\n\nThere is nothing here yet.", "\n\nЗдесь пока ничего нет.");
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
    if let (Some(total), Some(currency)) = (basket.total(), basket.currency()) {
        let total_shown = price(language, total, currency);
        reply = reply.row([button(
            language.say(format!("✅ Order for {total_shown}"), format!("✅ Заказать на {total_shown}")),
            &Press::Order { total, draft },
        )]);
    }
    if !basket.lines.is_empty() {
        let empty = Press::Products { page, draft: Draft::default() };
        reply = reply.row([button(language.say("🗑 Empty the order", "🗑 Очистить заказ"), &empty)]);
    }
    reply
}

fn described(language: Language, product: &Product) -> String {
    let mut text = format!(
        "\n\n<b>{}. {}</b> — {}",
        product.id,
        shown(&product.name, 80),
        price(language, product.price, &product.currency)
    );
    if !product.description.trim().is_empty() {
        // Writing to a String does not fail.
        let _ = write!(text, "\n{}", shown(&product.description, 140));
    }
    let stock = match product.stock {
        0 => language.say("out of stock", "нет в наличии").to_owned(),
        stock => language.say(format!("in stock: {stock}"), format!("в наличии: {stock}")),
    };
    format!("{text}\n<i>{stock}</i>")
}

fn summary(language: Language, basket: &Basket) -> String {
    let (Some(currency), lines) = (basket.currency(), &basket.lines) else {
        return language
            .say("\n\nPress ➕ to put together an order.", "\n\nНажимайте ➕, чтобы собрать заказ.")
            .to_owned();
    };
    let mut text = language.say("\n\n<b>Your order</b>", "\n\n<b>Ваш заказ</b>").to_owned();
    for (product, quantity) in lines {
        let amount = product.price.checked_mul(*quantity).unwrap_or(Money::MAX);
        let amount = price(language, amount, &product.currency);
        let _ = write!(text, "\n{} × {quantity} — {amount}", shown(&product.name, 40));
    }
    if let Some(total) = basket.total() {
        let total = price(language, total, currency);
        text += &language.say(format!("\n<b>Total: {total}</b>"), format!("\n<b>Итого: {total}</b>"));
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
            currency: "RUB".to_owned(),
            stock: 3,
        }
    }

    fn basket(draft: &str, known: &[Product]) -> Basket {
        let known = known.iter().map(|product| (product.id, product.clone())).collect();
        Basket::new(&draft.parse().unwrap(), known)
    }

    fn labels(reply: &Reply) -> Vec<Vec<String>> {
        let keyboard = reply.keyboard.clone().unwrap_or_default().inline_keyboard;
        keyboard.into_iter().map(|row| row.into_iter().map(|button| button.text).collect()).collect()
    }

    #[test]
    fn a_page_shows_products_the_order_and_its_buttons() {
        let listed = [product(1, "Mug <large>", 50_000), Product { stock: 0, ..product(2, "Lamp", 150_000) }];
        let basket = basket("1:2,9", &listed);
        let page = Page { items: listed.to_vec(), more: true };
        let reply = products(Language::English, 1, &page, &basket);
        insta::assert_snapshot!(reply.text.replace('\u{a0}', " "), @r"
        <b>Products</b>, page 2

        <b>1. Mug &lt;large&gt;</b> — 500.00 ₽
        As described
        <i>in stock: 3</i>

        <b>2. Lamp</b> — 1,500.00 ₽
        As described
        <i>out of stock</i>

        <b>Your order</b>
        Mug &lt;large&gt; × 2 — 1,000.00 ₽
        <b>Total: 1,000.00 ₽</b>
        ");
        let labels = labels(&reply);
        assert_eq!(labels[0], ["➕ 1 · Mug <large>"], "what is out of stock cannot be added");
        assert_eq!(labels[1], ["◀️", "▶️"]);
        assert_eq!(labels[2], ["✅ Order for 1,000.00\u{a0}₽"]);
        assert_eq!(labels[3], ["🗑 Empty the order"]);
    }

    #[test]
    fn the_longest_page_is_a_message_that_telegram_takes() {
        let long = "🦀".repeat(2000);
        let listed: Vec<_> = (1..=8)
            .map(|id| Product {
                description: long.clone(),
                currency: long.clone(),
                stock: u32::MAX,
                ..product(i64::MAX - id, &long, 999_999_999_999)
            })
            .collect();
        let known: Vec<_> =
            (1..=19).map(|id| Product { currency: long.clone(), ..product(id, &long, 1) }).collect();
        let draft = "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16";
        assert!(crate::press::fits(&draft.parse().unwrap()));
        let basket = basket(draft, &known);
        let page = Page { items: listed, more: true };
        for language in [Language::English, Language::Russian] {
            let text = products(language, 99, &page, &basket).text;
            let visible = text.replace("<b>", "").replace("</b>", "").replace("<i>", "").replace("</i>", "");
            let units = visible.encode_utf16().count();
            assert!(units <= 4096, "{units}");
        }
    }

    #[test]
    fn a_sum_needs_one_currency_and_an_end() {
        let mug = product(1, "Mug", 50_000);
        assert_eq!(
            basket("1:2", std::slice::from_ref(&mug)).total(),
            Some(Money::from_minor(100_000).unwrap())
        );
        let foreign = Product { currency: "EUR".to_owned(), ..product(2, "Lamp", 1) };
        assert_eq!(basket("1,2", &[mug.clone(), foreign]).total(), None);
        assert_eq!(basket("3:1000", &[product(3, "Gold", Money::MAX.minor())]).total(), None);
        assert_eq!(basket("7", &[mug]).total(), None, "nothing is in it");
    }
}
