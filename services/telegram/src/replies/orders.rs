use std::fmt::Write as _;

use shop_client::{Order, Slice};
use shop_core::{Language, OrderStatus, events::CancellationCode};

use super::reply::{Reply, button, page_buttons, shown};
use crate::{commands::Draft, press::Press};

/// How many lines of an order are shown in a list of orders, and when it is shown alone.
const LINES_IN_LIST: usize = 3;
const LINES_ALONE: usize = 20;

/// An order that was just placed, as it is now.
pub(crate) fn receipt(language: Language, order: &Order) -> Reply {
    let heading = match order.status {
        Some(OrderStatus::Confirmed | OrderStatus::Shipped | OrderStatus::Delivered) => {
            language.choose("Thank you! Your order is confirmed.", "Спасибо! Заказ подтверждён.")
        }
        Some(OrderStatus::Cancelled) => language.choose("Your order is cancelled.", "Заказ отменён."),
        Some(OrderStatus::Pending) | None => {
            language.choose("Thank you! Your order is placed.", "Спасибо! Заказ оформлен.")
        }
    };
    let list = button(language.choose("📦 My orders", "📦 Мои заказы"), &Press::Orders { page: 0 });
    let cancel = order
        .may_be_cancelled()
        .then(|| button(language.choose("Cancel it", "Отменить"), &Press::AskCancel { order: order.id }));
    Reply::new(format!("<b>{heading}</b>{}", described(language, order, LINES_ALONE)))
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
    let cancellable = orders.items.iter().filter(|order| order.may_be_cancelled());
    let reply = cancellable.fold(Reply::new(text), |reply, order| {
        let number = order.id.number();
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
    let money = match order.status {
        Some(OrderStatus::Confirmed) => {
            language.choose("\n\nYou get your money back.", "\n\nДеньги вернутся к вам.")
        }
        _ => "",
    };
    Reply::new(format!("{question}{}{money}", described(language, order, LINES_ALONE))).row([
        button(language.choose("Yes, cancel it", "Да, отменить"), &Press::Cancel { order: order.id }),
        button(language.choose("No, keep it", "Нет, оставить"), &Press::Orders { page: 0 }),
    ])
}

fn described(language: Language, order: &Order, lines: usize) -> String {
    let (number, name) = (order.id.number(), language.choose("Order", "Заказ"));
    let total = order.total_amount.for_people(language, order.currency);
    let mut text = format!(
        "\n\n{name} <b>{number}</b>\n{} · {} · <b>{total}</b>",
        order.created_at.format("%Y-%m-%d %H:%M UTC"),
        status(language, order.status),
    );
    if let Some(cancellation) = &order.cancellation {
        text += &format!("\n{}", reason(language, cancellation.code));
    }
    if let Some(number) = &order.tracking_number {
        let label = language.choose("Tracking number", "Трек-номер");
        text += &format!("\n{label}: <code>{}</code>", shown(number, 64));
    }
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

fn status(language: Language, status: Option<OrderStatus>) -> &'static str {
    match status {
        Some(OrderStatus::Pending) => language.choose("⏳ being processed", "⏳ обрабатывается"),
        Some(OrderStatus::Confirmed) => language.choose("✅ confirmed", "✅ подтверждён"),
        Some(OrderStatus::Shipped) => language.choose("🚚 on its way", "🚚 в пути"),
        Some(OrderStatus::Delivered) => language.choose("📬 delivered", "📬 доставлен"),
        Some(OrderStatus::Cancelled) => language.choose("❌ cancelled", "❌ отменён"),
        // Only a newer order_service knows what it is.
        None => language.choose("🛠 in progress", "🛠 в работе"),
    }
}

/// Why an order was cancelled, for its customer.
fn reason(language: Language, code: CancellationCode) -> &'static str {
    match code {
        CancellationCode::ByCustomer => language.choose("You cancelled it.", "Вы его отменили."),
        CancellationCode::ByShop => language.choose("The shop cancelled it.", "Его отменил магазин."),
        CancellationCode::OutOfStock => language.choose(
            "Unfortunately, something in it sold out before we could set it aside for you.",
            "К сожалению, что-то из заказа раскупили раньше, чем мы успели это отложить.",
        ),
        CancellationCode::PaymentDeclined => language.choose(
            "Your bank declined the payment. You were not charged.",
            "Оплата не прошла: её отклонил банк. Деньги не списаны.",
        ),
        CancellationCode::PaymentUnavailable => language.choose(
            "The payment provider did not answer in time. You were not charged.",
            "Платёжная система не ответила вовремя. Деньги не списаны.",
        ),
        CancellationCode::TimedOut => {
            language.choose("We could not confirm it in time.", "Мы не смогли подтвердить его вовремя.")
        }
        CancellationCode::Unspecified => language.choose("The shop did not say why.", "Причина не указана."),
    }
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

        Заказ <b>00ABCDEF</b>
        2026-01-02 03:04 UTC · ⏳ обрабатывается · <b>1 000,00 ₽</b>
        Mug &amp; Co × 2 — 1 000,00 ₽
        Mug &amp; Co × 2 — 1 000,00 ₽
        Mug &amp; Co × 2 — 1 000,00 ₽
        … и ещё 1
        ");
        let keyboard = reply.keyboard.unwrap().inline_keyboard;
        assert_eq!(keyboard[0][0].text, "Отменить 00ABCDEF");
    }

    #[test]
    fn a_receipt_tells_what_has_become_of_the_order() {
        let told = |more: serde_json::Value| {
            let mut order = serde_json::json!({
                "id": "0190b3a0-0000-7000-8000-000000abcdef", "customer_email": "user@example.com",
                "total_amount": 5.0, "currency": "RUB", "items": [], "created_at": "2026-01-02T03:04:05Z",
            });
            order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let order: Order = serde_json::from_value(order).unwrap();
            let reply = receipt(Language::English, &order);
            let buttons = reply.keyboard.unwrap().inline_keyboard[0].len();
            format!("{} [{buttons}]", reply.text.replace('\u{a0}', " "))
        };
        let code = |code: &str| serde_json::json!({ "code": code, "reason": "for the shop" });
        insta::assert_snapshot!(
            [
                told(serde_json::json!({ "status": "confirmed" })),
                told(serde_json::json!({ "status": "shipped", "tracking_number": "<RB1>" })),
                told(serde_json::json!({ "status": "cancelled", "cancellation": code("out_of_stock") })),
                told(serde_json::json!({ "status": "cancelled", "cancellation": code("by_weather") })),
                told(serde_json::json!({ "status": "returned" })),
            ]
            .join("\n---\n"),
            @r"
        <b>Thank you! Your order is confirmed.</b>

        Order <b>00ABCDEF</b>
        2026-01-02 03:04 UTC · ✅ confirmed · <b>RUB 5.00</b> [2]
        ---
        <b>Thank you! Your order is confirmed.</b>

        Order <b>00ABCDEF</b>
        2026-01-02 03:04 UTC · 🚚 on its way · <b>RUB 5.00</b>
        Tracking number: <code>&lt;RB1&gt;</code> [1]
        ---
        <b>Your order is cancelled.</b>

        Order <b>00ABCDEF</b>
        2026-01-02 03:04 UTC · ❌ cancelled · <b>RUB 5.00</b>
        Unfortunately, something in it sold out before we could set it aside for you. [1]
        ---
        <b>Your order is cancelled.</b>

        Order <b>00ABCDEF</b>
        2026-01-02 03:04 UTC · ❌ cancelled · <b>RUB 5.00</b>
        The shop did not say why. [1]
        ---
        <b>Thank you! Your order is placed.</b>

        Order <b>00ABCDEF</b>
        2026-01-02 03:04 UTC · 🛠 in progress · <b>RUB 5.00</b> [1]
        "
        );
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
