use std::fmt::Write as _;

use shop_client::{Order, Slice};
use shop_core::{Language, OrderStatus};

use super::reply::{Reply, button, page_buttons, shown};
use crate::{commands::Draft, press::Press};

/// How many lines of an order are shown in a list of orders, and when it is shown alone.
const LINES_IN_LIST: usize = 3;
const LINES_ALONE: usize = 20;

/// An order that was just placed.
pub(crate) fn receipt(language: Language, order: &Order) -> Reply {
    let thanks =
        language.choose("<b>Thank you! Your order is placed.</b>", "<b>Спасибо! Заказ оформлен.</b>");
    let list = button(language.choose("📦 My orders", "📦 Мои заказы"), &Press::Orders { page: 0 });
    let cancel = (order.status == OrderStatus::Pending)
        .then(|| button(language.choose("Cancel it", "Отменить"), &Press::AskCancel { order: order.id }));
    Reply::new(format!("{thanks}{}", described(language, order, LINES_ALONE)))
        .row([list].into_iter().chain(cancel))
}

/// A page of the customer's orders, with a button for each that can still be cancelled.
pub(crate) fn orders(language: Language, page: usize, orders: &Slice<Order>) -> Reply {
    let mut text = language.choose(
        format!("<b>Your orders</b>, page {}", page + 1),
        format!("<b>Ваши заказы</b>, страница {}", page + 1),
    );
    if orders.items.is_empty() {
        text += language.choose("\n\nThere are none here.", "\n\nЗдесь ничего нет.");
    }
    for order in &orders.items {
        text += &described(language, order, LINES_IN_LIST);
    }
    let pending = orders.items.iter().filter(|order| order.status == OrderStatus::Pending);
    let reply = pending.fold(Reply::new(text), |reply, order| {
        let number = number(order);
        let label = language.choose(format!("Cancel {number}"), format!("Отменить {number}"));
        reply.row([button(label, &Press::AskCancel { order: order.id })])
    });
    let products = Press::Products { page: 0, draft: Draft::default() };
    reply
        .row(page_buttons(page, orders.more, |page| Press::Orders { page }))
        .row([button(language.choose("🛍 Products", "🛍 Товары"), &products)])
}

/// Asks whether this order should really be cancelled.
pub(crate) fn ask_cancel(language: Language, order: &Order) -> Reply {
    let question = language.choose("<b>Cancel this order?</b>", "<b>Отменить этот заказ?</b>");
    Reply::new(format!("{question}{}", described(language, order, LINES_ALONE))).row([
        button(language.choose("Yes, cancel it", "Да, отменить"), &Press::Cancel { order: order.id }),
        button(language.choose("No, keep it", "Нет, оставить"), &Press::Orders { page: 0 }),
    ])
}

fn described(language: Language, order: &Order, lines: usize) -> String {
    let total = order.total_amount.for_people(language, order.currency);
    let mut text = format!(
        "\n\n<code>{}</code>\n{} · {} · <b>{total}</b>",
        order.id,
        order.created_at.format("%Y-%m-%d %H:%M UTC"),
        status(language, order.status),
    );
    for line in order.items.iter().take(lines) {
        let amount = line.sum().for_people(language, order.currency);
        // Writing to a String does not fail.
        let _ = write!(text, "\n{} × {} — {amount}", shown(&line.name, 80), line.quantity);
    }
    if let Some(hidden) = order.items.len().checked_sub(lines).filter(|hidden| *hidden > 0) {
        text += &language.choose(format!("\n… and {hidden} more"), format!("\n… и ещё {hidden}"));
    }
    text
}

fn status(language: Language, status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::Pending => language.choose("⏳ being processed", "⏳ обрабатывается"),
        OrderStatus::Confirmed => language.choose("✅ confirmed", "✅ подтверждён"),
        OrderStatus::Shipped => language.choose("🚚 on its way", "🚚 в пути"),
        OrderStatus::Delivered => language.choose("📬 delivered", "📬 доставлен"),
        OrderStatus::Cancelled => language.choose("❌ cancelled", "❌ отменён"),
    }
}

/// The end of the id: the ids of orders placed on one day begin alike.
fn number(order: &Order) -> String {
    let id = order.id.to_string();
    format!("…{}", id.get(id.len().saturating_sub(6)..).unwrap_or(&id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(lines: usize, name: &str) -> Order {
        let line = serde_json::json!({ "product_id": 1, "name": name, "quantity": 2, "price": 500.0 });
        serde_json::from_value(serde_json::json!({
            "id": "0190b3a0-0000-7000-8000-000000abcdef",
            "customer_email": "user@example.com",
            "total_amount": 1000.0,
            "currency": "RUB",
            "status": "pending",
            "items": vec![line; lines],
            "created_at": "2026-01-02T03:04:05Z",
        }))
        .unwrap()
    }

    #[test]
    fn an_order_shows_what_it_is_and_how_to_cancel_it() {
        let page = Slice { items: vec![order(4, "Mug & Co")], more: false };
        let reply = orders(Language::Russian, 0, &page);
        insta::assert_snapshot!(reply.text.replace('\u{a0}', " "), @r"
        <b>Ваши заказы</b>, страница 1

        <code>0190b3a0-0000-7000-8000-000000abcdef</code>
        2026-01-02 03:04 UTC · ⏳ обрабатывается · <b>1 000,00 ₽</b>
        Mug &amp; Co × 2 — 1 000,00 ₽
        Mug &amp; Co × 2 — 1 000,00 ₽
        Mug &amp; Co × 2 — 1 000,00 ₽
        … и ещё 1
        ");
        let keyboard = reply.keyboard.unwrap().inline_keyboard;
        assert_eq!(keyboard[0][0].text, "Отменить …abcdef");
    }

    #[test]
    fn the_longest_list_is_a_message_that_telegram_takes() {
        let long = "🦀".repeat(500);
        let page = Slice { items: vec![order(100, &long); 5], more: true };
        for reply in [
            orders(Language::Russian, 99, &page),
            receipt(Language::Russian, &page.items[0]),
            ask_cancel(Language::Russian, &page.items[0]),
        ] {
            assert!(reply.text.encode_utf16().count() <= 4096, "{}", reply.text.encode_utf16().count());
        }
    }
}
