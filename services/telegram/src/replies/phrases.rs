use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use shop_client::Refusal;
use shop_core::{Currency, Email, Language, ProductId, basket::Limits};
use teloxide::types::BotCommand;

use super::reply::{Reply, button, shown};
use crate::{
    commands::{LoginError, OrderError},
    press::Press,
};

/// The commands that clients suggest while somebody types.
pub(crate) fn commands(language: Language) -> Vec<BotCommand> {
    let offer =
        |name: &str, english: &str, russian: &str| BotCommand::new(name, language.choose(english, russian));
    vec![
        offer("products", "the products and their prices", "товары и цены"),
        offer("order", "order by number: /order 1:2,2:1", "заказать по номерам: /order 1:2,2:1"),
        offer("orders", "your orders", "ваши заказы"),
        offer("login", "log in: /login email password", "войти: /login email пароль"),
        offer("logout", "log out", "выйти"),
        offer("help", "what the bot can do", "что умеет бот"),
    ]
}

pub(crate) fn welcome(language: Language) -> Reply {
    let greeting = language.choose(
        "<b>Welcome to the shop!</b>\nLook around, log in, and order right here.",
        "<b>Добро пожаловать в магазин!</b>\nСмотрите товары, входите и заказывайте прямо здесь.",
    );
    with_menu(language, &format!("{greeting}\n\n{}", abilities(language)))
}

pub(crate) fn help(language: Language) -> Reply {
    with_menu(language, abilities(language))
}

pub(crate) fn unknown_command(language: Language, name: &str) -> Reply {
    let name = shown(name, 32);
    let text = language.choose(
        format!("There is no command <code>/{name}</code>."),
        format!("Нет команды <code>/{name}</code>."),
    );
    with_menu(language, &format!("{text}\n\n{}", abilities(language)))
}

pub(crate) fn not_a_command(language: Language) -> Reply {
    let text = language.choose(
        "I understand commands and buttons. This is what I can do:",
        "Я понимаю команды и кнопки. Вот что я умею:",
    );
    with_menu(language, &format!("{text}\n\n{}", abilities(language)))
}

fn abilities(language: Language) -> &'static str {
    language.choose(
        "/products — the products and their prices\n\
         <code>/login user@example.com password</code> — log in; the message is deleted at once\n\
         <code>/order 1:2,2:1</code> — order: two of product 1 and one of product 2\n\
         /orders — your orders\n\
         /logout — log out\n\
         /help — this help",
        "/products — товары и цены\n\
         <code>/login user@example.com пароль</code> — войти; сообщение сразу удаляется\n\
         <code>/order 1:2,2:1</code> — заказать: товар 1 — две штуки, товар 2 — одну\n\
         /orders — ваши заказы\n\
         /logout — выйти\n\
         /help — эта справка",
    )
}

fn with_menu(language: Language, text: &str) -> Reply {
    let products = Press::Products { page: 0, draft: crate::commands::Draft::default() };
    Reply::new(text).row([
        button(language.choose("🛍 Products", "🛍 Товары"), &products),
        button(language.choose("📦 My orders", "📦 Мои заказы"), &Press::Orders { page: 0 }),
    ])
}

/// `is_linked`: the notification service writes to this chat from now on.
pub(crate) fn logged_in(
    language: Language,
    email: &Email,
    until: DateTime<Utc>,
    deleted: bool,
    is_linked: bool,
) -> Reply {
    let email = shown(&email.for_people(), 254);
    let until = until.format("%Y-%m-%d %H:%M UTC");
    let text = language.choose(
        format!("You are logged in as <b>{email}</b> until {until}."),
        format!("Вы вошли как <b>{email}</b> до {until}."),
    );
    let news = language
        .choose("\nNews of your orders will come here.", "\nНовости о ваших заказах будут приходить сюда.");
    let news = if is_linked { news } else { "" };
    with_menu(language, &format!("{text}{news}\n{}", password_message(language, deleted)))
}

pub(crate) fn login_refused(language: Language, deleted: bool) -> Reply {
    let text = language.choose(
        "The e-mail address or the password is wrong.",
        "Неверный адрес электронной почты или пароль.",
    );
    Reply::new(format!("{text}\n{}", password_message(language, deleted)))
}

pub(crate) fn login_not_understood(language: Language, error: LoginError, deleted: bool) -> Reply {
    let text = match error {
        LoginError::Incomplete => language.choose(
            "Write your e-mail address and your password after the command:",
            "Напишите после команды адрес электронной почты и пароль:",
        ),
        LoginError::Email => language.choose(
            "This does not look like an e-mail address. Write it before the password:",
            "Это не похоже на адрес электронной почты. Напишите его перед паролем:",
        ),
    };
    let example = language.choose("/login user@example.com password", "/login user@example.com пароль");
    Reply::new(format!("{text}\n<code>{example}</code>\n{}", password_message(language, deleted)))
}

/// A login that could not be attempted.
pub(crate) fn login_failed(language: Language, why: &str, deleted: bool) -> Reply {
    Reply::new(format!("{why}\n{}", password_message(language, deleted)))
}

pub(crate) fn login_in_a_group(language: Language, deleted: bool) -> Reply {
    let text = language.choose(
        "Never write a password in a group. Log in in a private chat with me, and change this password \
         if it is a real one.",
        "Никогда не пишите пароль в группе. Войдите в личном чате со мной, а этот пароль, если он \
         настоящий, смените.",
    );
    Reply::new(format!("{text}\n{}", password_message(language, deleted)))
}

fn password_message(language: Language, deleted: bool) -> &'static str {
    if deleted {
        language.choose("I deleted your message with the password.", "Ваше сообщение с паролем удалено.")
    } else {
        language.choose(
            "⚠️ I could not delete your message. Please delete it yourself: your password is in it.",
            "⚠️ Не удалось удалить ваше сообщение. Удалите его сами: в нём ваш пароль.",
        )
    }
}

pub(crate) fn logged_out(language: Language) -> Reply {
    Reply::new(language.choose("You are logged out.", "Вы вышли."))
}

pub(crate) fn order_not_understood(language: Language, error: &OrderError) -> Reply {
    let most_products = Limits::ORDER.products;
    let text = match error {
        OrderError::Empty => language
            .choose("Write what to order after the command.", "Напишите после команды, что заказать.")
            .to_owned(),
        OrderError::Malformed(part) => {
            let part = shown(part, 40);
            language.choose(
                format!("I do not understand <code>{part}</code>."),
                format!("Не понимаю <code>{part}</code>."),
            )
        }
        OrderError::Quantity(product) => quantity_out_of_bounds(language, *product),
        OrderError::TooManyLines => language.choose(
            format!("An order has at most {most_products} different products."),
            format!("В заказе не больше {most_products} разных товаров."),
        ),
    };
    let example = language.choose(
        "For example, two of product 1 and one of product 2: <code>/order 1:2,2:1</code>\n\
         The numbers are in /products.",
        "Например, две штуки товара 1 и одна — товара 2: <code>/order 1:2,2:1</code>\n\
         Номера — в /products.",
    );
    Reply::new(format!("{text}\n{example}"))
}

pub(crate) fn quantity_out_of_bounds(language: Language, product: ProductId) -> String {
    let most = Limits::ORDER.of_one;
    language.choose(
        format!("You can order 1 to {most} of product {product}."),
        format!("Товара {product} можно заказать от 1 до {most}."),
    )
}

// The rest are sentences: they go into a message or into a button's notice, and have no markup.

pub(crate) fn basket_full(language: Language) -> &'static str {
    language.choose(
        "No more fits into this order. Confirm it first, or use /order for a long one.",
        "Больше в этот заказ не поместится. Сначала оформите его или наберите длинный через /order.",
    )
}

pub(crate) fn prices_changed(language: Language) -> &'static str {
    language.choose(
        "Prices have changed. Nothing is ordered yet: look at the new total and confirm again.",
        "Цены изменились. Заказ ещё не оформлен: посмотрите новую сумму и подтвердите снова.",
    )
}

pub(crate) fn not_logged_in(language: Language) -> &'static str {
    language.choose("Please log in first: /login email password", "Сначала войдите: /login email пароль")
}

pub(crate) fn session_expired(language: Language) -> &'static str {
    language.choose(
        "Your login has expired. Please log in again: /login email password",
        "Срок входа истёк. Войдите снова: /login email пароль",
    )
}

pub(crate) fn private_only(language: Language) -> &'static str {
    language.choose(
        "Orders are private: write to me in a private chat.",
        "Заказы — дело личное: напишите мне в личном чате.",
    )
}

pub(crate) fn away(language: Language) -> &'static str {
    language.choose(
        "The shop is not available right now. Please try again in a minute.",
        "Магазин сейчас недоступен. Попробуйте, пожалуйста, через минуту.",
    )
}

pub(crate) fn order_unclear(language: Language) -> &'static str {
    language.choose(
        "The shop did not answer, and your order may have been placed. Look at /orders before you order again.",
        "Магазин не ответил, но заказ мог быть оформлен. Прежде чем повторять, загляните в /orders.",
    )
}

pub(crate) fn no_such_button(language: Language) -> &'static str {
    language
        .choose("This button is out of date. Try /products.", "Эта кнопка устарела. Попробуйте /products.")
}

pub(crate) fn cancelled(language: Language) -> &'static str {
    language.choose("The order is cancelled.", "Заказ отменён.")
}

pub(crate) fn no_such_order(language: Language) -> &'static str {
    language.choose("There is no such order.", "Такого заказа нет.")
}

/// What a service refused, in a sentence.
pub(crate) fn refused(language: Language, refusal: &Refusal) -> String {
    match (refusal.slug.as_str(), refusal.product_id(), refusal.current_price(), refusal.available()) {
        ("unknown-product", Some(product), _, _) => language.choose(
            format!("There is no product {product}. See /products."),
            format!("Товара {product} нет. Посмотрите /products."),
        ),
        ("out-of-stock", Some(product), _, Some(available)) => language.choose(
            format!("Only {available} of product {product} left in stock."),
            format!("Товара {product} осталось только {available}."),
        ),
        ("out-of-stock", Some(product), _, _) => language.choose(
            format!("There is not enough of product {product}."),
            format!("Товара {product} не хватает."),
        ),
        ("price-changed", Some(product), Some(current), _) => {
            // The refusal has no currency; the shop has only one.
            let current = current.for_people(language, Currency::RUB);
            language.choose(
                format!("Product {product} costs {current} now."),
                format!("Товар {product} теперь стоит {current}."),
            )
        }
        ("idempotency-key-in-progress", ..) => order_unclear(language).to_owned(),
        ("too-many-attempts", ..) => language
            .choose(
                "Too many attempts. Please wait a few minutes.",
                "Слишком много попыток. Подождите несколько минут.",
            )
            .to_owned(),
        ("not-cancellable", ..) => language
            .choose("This order can no longer be changed.", "Этот заказ уже нельзя изменить.")
            .to_owned(),
        _ if refusal.status == StatusCode::NOT_FOUND => no_such_order(language).to_owned(),
        _ => language
            .choose(
                "The shop does not accept this. Please check it and try again.",
                "Магазин этого не принимает. Проверьте и попробуйте снова.",
            )
            .to_owned(),
    }
}

/// A sentence as a message of its own.
pub(crate) fn sentence(text: &str) -> Reply {
    Reply::new(teloxide::utils::html::escape(text))
}
