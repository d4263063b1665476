//! The sentences, in both languages. `number` is the order's number.

use shop_core::{Language, events::CancellationCode};

use crate::domain::News;

/// A subject of a mail.
pub(super) fn subject(news: &News, number: &str, language: Language) -> String {
    match news {
        News::Received => {
            language.choose(format!("Order {number} received"), format!("Заказ {number} принят"))
        }
        News::Confirmed => {
            language.choose(format!("Order {number} confirmed"), format!("Заказ {number} подтверждён"))
        }
        News::Cancelled { .. } => {
            language.choose(format!("Order {number} cancelled"), format!("Заказ {number} отменён"))
        }
        News::Shipped { .. } => {
            language.choose(format!("Order {number} shipped"), format!("Заказ {number} отправлен"))
        }
        News::Delivered => {
            language.choose(format!("Order {number} delivered"), format!("Заказ {number} доставлен"))
        }
        News::Refunded(..) => language
            .choose(format!("Refund for order {number}"), format!("Деньги за заказ {number} возвращены")),
    }
}

/// What has happened. `total` is the order's, for news about its money.
pub(super) fn paragraphs(news: &News, number: &str, total: Option<&str>, language: Language) -> Vec<String> {
    match news {
        News::Received => vec![language.choose(
            format!(
                "Thank you for your order {number}. We are setting the goods aside and taking the payment, and will write to you as \
                 soon as both are done."
            ),
            format!(
                "Спасибо за заказ {number}. Мы откладываем товары и проводим оплату. Как только всё будет готово, мы вам напишем."
            ),
        )],
        News::Confirmed => vec![language.choose(
            format!(
                "Your order {number} is paid, and everything in it is set aside for you. We will write to you when it is shipped."
            ),
            format!("Заказ {number} оплачен, все товары отложены для вас. Мы напишем вам, когда отправим его."),
        )],
        News::Cancelled { code, was_confirmed } => {
            vec![why_cancelled(*code, number, language), money_of_cancelled(*code, *was_confirmed, total, language)]
        }
        News::Shipped { tracking_number } => {
            let shipped = language.choose(
                format!("Your order {number} is on its way to you."),
                format!("Заказ {number} уже в пути."),
            );
            let tracking = tracking_number.as_ref().map(|tracking| {
                language.choose(format!("Tracking number: {tracking}"), format!("Номер отправления: {tracking}"))
            });
            std::iter::once(shipped).chain(tracking).collect()
        }
        News::Delivered => vec![language.choose(
            format!("Your order {number} has been delivered. Thank you for shopping with us!"),
            format!("Заказ {number} доставлен. Спасибо за покупку!"),
        )],
        News::Refunded(amount, currency) => {
            let amount = amount.for_people(language, *currency);
            vec![language.choose(
                format!(
                    "We have returned {amount} for your order {number}. Your bank may need a few days until you see the money."
                ),
                format!(
                    "Мы вернули {amount} за заказ {number}. Банку может понадобиться несколько дней, чтобы зачислить деньги."
                ),
            )]
        }
    }
}

fn why_cancelled(code: CancellationCode, number: &str, language: Language) -> String {
    match code {
        CancellationCode::ByCustomer => language.choose(
            format!("Your order {number} is cancelled, as you asked."),
            format!("Заказ {number} отменён по вашей просьбе."),
        ),
        CancellationCode::ByShop => language.choose(
            format!("We had to cancel your order {number}. We are sorry."),
            format!("Нам пришлось отменить заказ {number}. Приносим извинения."),
        ),
        CancellationCode::OutOfStock => language.choose(
            format!("We had to cancel your order {number}: there is not enough in stock. We are sorry."),
            format!("Нам пришлось отменить заказ {number}: товара не хватило на складе. Приносим извинения."),
        ),
        CancellationCode::PaymentDeclined => language.choose(
            format!(
                "Your order {number} is cancelled because the payment was declined. You are welcome to order again and pay in another \
                 way."
            ),
            format!(
                "Заказ {number} отменён: платёж отклонён. Вы можете сделать заказ ещё раз и заплатить другим способом."
            ),
        ),
        CancellationCode::PaymentUnavailable => language.choose(
            format!(
                "Your order {number} is cancelled because payments could not be taken for too long. Please order again later."
            ),
            format!(
                "Заказ {number} отменён: оплату слишком долго не удавалось провести. Пожалуйста, сделайте заказ ещё раз позже."
            ),
        ),
        CancellationCode::TimedOut => language.choose(
            format!("Your order {number} is cancelled because it could not be confirmed in time. We are sorry."),
            format!("Заказ {number} отменён: его не удалось подтвердить вовремя. Приносим извинения."),
        ),
        CancellationCode::Unspecified => language.choose(
            format!("Your order {number} is cancelled."),
            format!("Заказ {number} отменён."),
        ),
    }
}

/// What happens with the money. A payment may have been taken although the order was never confirmed; a refusal of the payment says that
/// nothing was.
fn money_of_cancelled(
    code: CancellationCode,
    was_confirmed: bool,
    total: Option<&str>,
    language: Language,
) -> String {
    match (code, was_confirmed, total) {
        (_, true, Some(total)) => language.choose(
            format!("You have paid {total}. We are returning the whole amount, and will write to you when that is done."),
            format!("Вы заплатили {total}. Мы вернём всю сумму и напишем вам, когда сделаем это."),
        ),
        (CancellationCode::PaymentDeclined | CancellationCode::PaymentUnavailable, false, _) => {
            language.choose("You have not been charged.", "Деньги не списаны.").to_owned()
        }
        _ => language
            .choose(
                "If the payment was taken, we will return the whole amount and write to you when that is done.",
                "Если деньги успели списаться, мы вернём всю сумму и напишем вам, когда сделаем это.",
            )
            .to_owned(),
    }
}

/// The name of a product whose name the event did not have.
pub(super) fn product(id: i64, language: Language) -> String {
    language.choose(format!("Product {id}"), format!("Товар {id}"))
}

/// The label of the sum of the lines.
pub(super) fn total(language: Language) -> &'static str {
    language.choose("Total", "Итого")
}

/// The label of the link to the order.
pub(super) fn open_order(language: Language) -> &'static str {
    language.choose("View the order", "Открыть заказ")
}

/// The shop's name, as on its pages.
pub(super) fn shop(language: Language) -> &'static str {
    language.choose("Lavka", "Лавка")
}

/// Why somebody gets the mail.
pub(super) fn footer(language: Language) -> &'static str {
    language.choose(
        "You get this automatic message because this address was given for an order in our shop.",
        "Это автоматическое письмо: этот адрес указан в заказе в нашем магазине.",
    )
}
