//! Every text of the storefront, in both languages side by side: a text that has only one does not compile.

use shop_core::Language;

macro_rules! texts {
    ($($key:ident: $ru:literal | $en:literal;)*) => {
        /// The texts of one language.
        #[derive(Debug)]
        pub(crate) struct Texts {
            pub(crate) language: Language,
            $(pub(crate) $key: &'static str,)*
        }

        static RU: Texts = Texts { language: Language::Russian, $($key: $ru,)* };
        static EN: Texts = Texts { language: Language::English, $($key: $en,)* };

        #[cfg(test)]
        const ALL: &[(&str, &str, &str)] = &[$((stringify!($key), $ru, $en),)*];
    };
}

impl Texts {
    /// Those in `language`.
    pub(crate) fn of(language: Language) -> &'static Self {
        language.choose(&EN, &RU)
    }

    /// Those in the language that the switch offers.
    pub(crate) fn other(&self) -> &'static Self {
        self.language.choose(&RU, &EN)
    }
}

texts! {
    // Around every page
    brand: "Лавка" | "Lavka";
    tagline: "вещи, к которым привыкаешь" | "things you get attached to";
    skip_to_content: "К содержанию" | "Skip to content";
    nav_label: "Главное меню" | "Main menu";
    nav_catalog: "Каталог" | "Catalog";
    nav_orders: "Заказы" | "Orders";
    nav_cart: "Корзина" | "Cart";
    nav_login: "Войти" | "Log in";
    nav_register: "Регистрация" | "Sign up";
    nav_logout: "Выйти" | "Log out";
    close: "Закрыть" | "Close";
    language_label: "Язык" | "Language";
    language_name: "Русский" | "English";
    logged_in_as: "Вы вошли как" | "Logged in as";
    footer_promise: "Небольшой магазин, в котором ни один заказ не теряется." | "A small shop that never loses an order.";
    search_label: "Поиск по каталогу" | "Search the catalog";
    search_placeholder: "Что ищете?" | "What are you looking for?";
    search_button: "Найти" | "Search";

    // Home
    hero_title: "Хорошие вещи для обычных дней" | "Good things for ordinary days";
    hero_text: "Небольшой каталог, честные цены и ничего лишнего. Выберите то, что останется с вами надолго."
        | "A small catalog, honest prices and no clutter. Choose something that will stay with you.";
    hero_button: "Смотреть каталог" | "Browse the catalog";
    hero_orders: "Мои заказы" | "My orders";
    featured: "На витрине" | "In the window";
    featured_all: "Весь каталог" | "The whole catalog";
    promise_price_title: "Цена не меняется по дороге" | "The price you see";
    promise_price_text: "Если цена изменится, пока вы выбираете, мы спросим, прежде чем оформить заказ."
        | "If a price changes while you choose, we ask before we take the order.";
    promise_order_title: "Заказ не теряется" | "An order is never lost";
    promise_order_text: "Принятый заказ записан, и о каждом его шаге вы узнаете на его странице."
        | "Once placed, an order is on record, and its page shows every step.";
    promise_cancel_title: "Можно передумать" | "Change your mind";
    promise_cancel_text: "Пока заказ не отправлен, он отменяется одной кнопкой, а деньги возвращаются."
        | "Until it is shipped, one button cancels an order, and you get your money back.";

    // Catalog and product
    catalog_title: "Каталог" | "Catalog";
    categories: "Категории" | "Categories";
    all_categories: "Все" | "All";
    results_for: "Найдено по запросу «{query}»" | "Results for “{query}”";
    nothing_found: "Ничего не нашлось" | "Nothing found";
    nothing_found_text: "Попробуйте другое слово или посмотрите весь каталог." | "Try another word, or browse the whole catalog.";
    empty_catalog: "На полках пока пусто" | "The shelves are empty for now";
    empty_catalog_text: "Загляните чуть позже." | "Please look in again a little later.";
    reset_search: "Показать всё" | "Show everything";
    pages: "Страницы" | "Pages";
    next_page: "Дальше" | "Next page";
    first_page: "К началу" | "Back to the start";
    in_stock: "В наличии" | "In stock";
    only_left: "Осталось {count}" | "Only {count} left";
    sold_out: "Нет в наличии" | "Sold out";
    add_to_cart: "В корзину" | "Add to cart";
    add_to_cart_name: "Положить в корзину: {name}" | "Add {name} to cart";
    buy_now: "Купить сразу" | "Buy now";
    quantity: "Количество" | "Quantity";
    quantity_short: "Кол-во" | "Qty";
    breadcrumbs: "Вы здесь" | "You are here";
    product_number: "Артикул" | "Item number";

    // Cart
    cart_title: "Корзина" | "Cart";
    cart_empty: "Корзина пуста" | "Your cart is empty";
    cart_empty_text: "Добавьте что-нибудь с полки, и оно появится здесь." | "Add something from the shelf, and it will show up here.";
    product: "Товар" | "Product";
    price: "Цена" | "Price";
    sum: "Сумма" | "Subtotal";
    total: "Итого" | "Total";
    update: "Обновить" | "Update";
    remove: "Убрать" | "Remove";
    remove_name: "Убрать из корзины: {name}" | "Remove {name} from the cart";
    quantity_of: "Количество: {name}" | "Quantity of {name}";
    checkout: "Оформить заказ" | "Place the order";
    checkout_as: "Заказ будет оформлен на {email}." | "The order will be placed for {email}.";
    checkout_login: "Для заказа понадобится войти; корзина сохранится." | "You will be asked to log in; your cart is kept.";
    keep_shopping: "Выбрать что-нибудь ещё" | "Keep shopping";
    not_sold: "Этого товара больше нет в продаже. Уберите его, чтобы оформить заказ."
        | "This product is no longer sold. Remove it to place the order.";
    unknown_product: "Товар № {id}" | "Product no. {id}";
    price_changed: "Цена изменилась: было {old}, стало {new}. Если согласны, оформите заказ ещё раз."
        | "The price has changed from {old} to {new}. If that is fine, place the order again.";
    price_changed_now: "Цена изменилась, теперь {new}. Если согласны, оформите заказ ещё раз."
        | "The price has changed to {new}. If that is fine, place the order again.";
    out_of_stock: "Осталось только {count}. Уменьшите количество." | "Only {count} left. Please take fewer.";
    out_of_stock_none: "Товар закончился. Уберите его, чтобы оформить заказ." | "Sold out. Remove it to place the order.";
    cart_not_ordered: "Заказ пока не оформлен" | "The order has not been placed yet";
    cart_see_lines: "Посмотрите на отмеченные товары: с ними что-то изменилось." | "Something has changed about the marked products.";
    cart_orders_away: "Приём заказов временно недоступен. Корзина сохранена, попробуйте через минуту."
        | "Orders cannot be taken right now. Your cart is kept, please try again in a minute.";
    cart_busy: "Слишком много запросов подряд. Подождите немного и попробуйте ещё раз."
        | "Too many requests in a row. Please wait a little and try again.";
    cart_form_reused: "Этот заказ уже отправлялся с другим содержимым. Проверьте корзину и оформите ещё раз."
        | "This order was already sent with other contents. Check the cart and place it again.";
    cart_look_again: "Пока страница была открыта, вы вошли или вышли в другой вкладке. Проверьте корзину и оформите заказ."
        | "You logged in or out in another tab while the page was open. Check the cart and place the order.";
    cart_refused: "Заказ не принят. Проверьте корзину и попробуйте ещё раз." | "The order was not accepted. Check the cart and try again.";

    // Account
    login_title: "С возвращением" | "Welcome back";
    login_text: "Войдите, чтобы оформлять заказы и следить за ними." | "Log in to place orders and follow them.";
    login_button: "Войти" | "Log in";
    login_other: "Впервые у нас?" | "New here?";
    register_title: "Будем знакомы" | "Nice to meet you";
    register_text: "Нужны только почта и пароль." | "All it takes is an e-mail address and a password.";
    register_button: "Зарегистрироваться" | "Sign up";
    register_other: "Уже есть аккаунт?" | "Already have an account?";
    email: "Электронная почта" | "E-mail";
    password: "Пароль" | "Password";
    password_hint: "От 8 до 128 символов." | "8 to 128 characters.";
    error_email: "Это не похоже на адрес почты. Пример: user@example.com." | "This does not look like an e-mail address. An example is user@example.com.";
    error_email_taken: "С этой почтой уже зарегистрированы. Войдите или укажите другую." | "There is an account with this address. Log in, or use another one.";
    error_password_length: "В пароле должно быть от 8 до 128 символов." | "A password must have 8 to 128 characters.";
    error_password_empty: "Введите пароль." | "Enter your password.";
    error_password_refused: "Этот пароль не подходит, придумайте другой." | "This password cannot be used, please choose another one.";
    error_credentials: "Почта или пароль не подходят." | "The e-mail address or the password is wrong.";
    error_busy: "Слишком много попыток. Подождите {seconds} с и попробуйте ещё раз." | "Too many attempts. Please try again in {seconds} s.";
    error_auth_away: "Вход временно недоступен. Попробуйте через минуту." | "Logging in is not possible right now. Please try again in a minute.";

    // Orders
    orders_title: "Мои заказы" | "My orders";
    orders_empty: "Заказов пока нет" | "No orders yet";
    orders_empty_text: "Первый заказ появится здесь сразу после оформления." | "Your first order will show up here as soon as it is placed.";
    orders_older: "Более ранние" | "Older orders";
    orders_newest: "К последним" | "Newest orders";
    order: "Заказ" | "Order";
    order_placed: "Оформлен" | "Placed";
    order_for: "Покупатель" | "Customer";
    order_tracking: "Трек-номер" | "Tracking number";
    order_contents: "Состав заказа" | "Items";
    order_state: "Состояние" | "Status";
    order_refresh: "Обновить" | "Refresh";
    order_cancel: "Отменить заказ" | "Cancel the order";
    order_cancel_sure: "Заказ будет отменён, вернуть его нельзя. Если он оплачен, деньги вернутся к вам."
        | "The order will be cancelled for good. If it is paid, you get your money back.";
    order_cancel_confirm: "Да, отменить" | "Yes, cancel it";
    order_trace: "Трассировка этого заказа" | "The trace of this order";
    step_placed: "Принят" | "Placed";
    step_confirmed: "Подтверждён" | "Confirmed";
    step_shipped: "Отправлен" | "Shipped";
    step_delivered: "Доставлен" | "Delivered";
    step_cancelled: "Отменён" | "Cancelled";
    status_pending: "Обрабатывается" | "Being processed";
    status_confirmed: "Подтверждён" | "Confirmed";
    status_shipped: "Отправлен" | "Shipped";
    status_delivered: "Доставлен" | "Delivered";
    status_cancelled: "Отменён" | "Cancelled";
    status_other: "В работе" | "In progress";
    status_pending_explained: "Мы приняли заказ: откладываем товары и проводим оплату. Обычно это занимает несколько секунд."
        | "We have your order, and are setting the items aside and taking the payment. This usually takes a few seconds.";
    status_confirmed_explained: "Товары отложены, оплата получена. Спасибо!" | "Your items are set aside and paid for. Thank you!";
    status_shipped_explained: "Заказ в пути." | "Your order is on its way.";
    status_delivered_explained: "Заказ доставлен." | "Your order has arrived.";
    status_cancelled_explained: "Заказ отменён." | "This order was cancelled.";
    status_other_explained: "Мы работаем над заказом." | "We are working on your order.";
    reason_by_customer: "Вы отменили этот заказ." | "You cancelled this order.";
    reason_by_the_customer: "Покупатель отменил этот заказ." | "The customer cancelled this order.";
    reason_by_shop: "Магазин отменил этот заказ." | "The shop cancelled this order.";
    reason_out_of_stock: "К сожалению, что-то из заказа раскупили раньше, чем мы успели это отложить."
        | "Unfortunately, something in this order sold out before we could set it aside for you.";
    reason_payment_declined: "Оплата не прошла: её отклонил банк. Деньги не списаны." | "Your bank declined the payment. You were not charged.";
    reason_payment_unavailable: "Платёжная система не ответила вовремя. Деньги не списаны." | "The payment provider did not answer in time. You were not charged.";
    reason_timed_out: "Мы не смогли подтвердить заказ вовремя." | "We could not confirm this order in time.";
    money_returns: "Деньги скоро вернутся к вам." | "Your money is on its way back to you.";
    money_returned: "Деньги возвращены." | "Your money has been returned.";
    timeline: "Что происходило" | "What has happened";
    happened_placed: "Заказ принят" | "Order placed";
    happened_stock_reserved: "Товары отложены для вас" | "Items set aside for you";
    happened_payment_processed: "Оплата получена" | "Payment received";
    happened_confirmed: "Заказ подтверждён" | "Order confirmed";
    happened_cancelled: "Заказ отменён" | "Order cancelled";
    happened_payment_refunded: "Деньги возвращены" | "Money returned";
    happened_shipped: "Передан в доставку" | "Handed to the carrier";
    happened_delivered: "Доставлен" | "Delivered";

    // Messages
    flash_added: "Положили в корзину." | "Added to your cart.";
    flash_updated: "Корзина обновлена." | "Your cart is up to date.";
    flash_removed: "Убрали из корзины." | "Removed from your cart.";
    flash_full: "В корзине уже 30 разных товаров, больше не помещается." | "Your cart already holds 30 different products, and no more fit in.";
    flash_quantity: "Количество — это целое число от 1 до 99." | "A quantity is a whole number from 1 to 99.";
    flash_login_needed: "Войдите, чтобы продолжить." | "Please log in to continue.";
    flash_session_ended: "Вход устарел. Войдите ещё раз, и вы вернётесь туда, где были." | "Your login has expired. Log in again, and you will be back where you were.";
    flash_logged_in: "Вы вошли." | "You are logged in.";
    flash_registered: "Добро пожаловать! Аккаунт создан." | "Welcome! Your account is ready.";
    flash_logged_out: "Вы вышли." | "You are logged out.";
    flash_order_placed: "Спасибо! Заказ принят." | "Thank you! Your order is placed.";
    flash_order_in_progress: "Этот заказ уже оформляется: он вот-вот появится в списке." | "This order is already being placed and will show up here in a moment.";
    flash_order_cancelled: "Заказ отменён." | "The order is cancelled.";
    flash_too_late: "Этот заказ уже нельзя отменить." | "This order can no longer be cancelled.";
    flash_look_again: "Пока эта страница была открыта, вы вошли или вышли в другой вкладке. Ничего не изменилось: посмотрите ещё раз." | "You logged in or out in another tab while this page was open. Nothing was changed: please look again.";
    flash_to_cart: "Перейти в корзину" | "Go to the cart";

    // What went wrong
    error_again: "Попробовать ещё раз" | "Try again";
    error_home: "На главную" | "Home page";
    error_trace: "Номер обращения" | "Reference";
    not_found: "Такой страницы нет" | "No such page";
    not_found_text: "Возможно, товар сняли с продажи или в адресе опечатка." | "The product may be gone, or the address may have a typo.";
    stale_form: "Страница устарела" | "This page was out of date";
    stale_form_text: "Форма отправлена с устаревшей страницы, поэтому мы ничего не изменили. Обновите страницу и повторите."
        | "The form came from an outdated page, so we changed nothing. Reload the page and try again.";
    malformed: "Не удалось понять запрос" | "We did not understand that";
    malformed_text: "В запросе что-то не так. Вернитесь назад и попробуйте ещё раз." | "Something is wrong with the request. Go back and try again.";
    too_large: "Слишком большой запрос" | "That request is too large";
    too_large_text: "Столько данных мы не принимаем." | "We do not accept that much data.";
    not_allowed: "Так эту страницу не открыть" | "This page cannot be opened this way";
    not_allowed_text: "Этот адрес принимает только данные формы." | "This address only accepts forms.";
    busy: "Слишком много запросов" | "Too many requests";
    busy_text: "Подождите немного и попробуйте ещё раз." | "Please wait a little and try again.";
    away: "Скоро вернёмся" | "Back in a moment";
    away_text: "Часть магазина временно недоступна. Ваша корзина сохранена, попробуйте через минуту."
        | "A part of the shop is away for the moment. Your cart is kept, please try again in a minute.";
    internal: "Что-то сломалось у нас" | "Something broke on our side";
    internal_text: "Мы уже знаем об этом. Попробуйте ещё раз чуть позже." | "We know about it. Please try again a little later.";
}

#[cfg(test)]
mod tests {
    use shop_core::basket::Limits;

    use super::*;

    fn is_cyrillic(c: char) -> bool {
        ('\u{400}'..='\u{4ff}').contains(&c)
    }

    fn placeholders(text: &str) -> Vec<&str> {
        let mut names: Vec<&str> =
            text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn both_languages_are_complete() {
        for (key, ru, en) in ALL {
            assert!(ru.chars().any(is_cyrillic), "{key} is not Russian: {ru}");
            assert!(!en.is_empty() && !en.chars().any(is_cyrillic), "{key} is not English: {en}");
            assert_eq!(ru.ends_with('.'), en.ends_with('.'), "{key}: one is a sentence");
        }
    }

    #[test]
    fn what_a_cart_holds_is_said_as_it_is() {
        let Limits { products, of_one } = Limits::CART;
        for texts in [&RU, &EN] {
            assert!(texts.flash_full.contains(&format!(" {products} ")), "{}", texts.flash_full);
            assert!(texts.flash_quantity.ends_with(&format!(" {of_one}.")), "{}", texts.flash_quantity);
        }
    }

    #[test]
    fn both_languages_have_the_same_placeholders() {
        for (key, ru, en) in ALL {
            assert_eq!(placeholders(ru), placeholders(en), "{key}");
        }
    }
}
