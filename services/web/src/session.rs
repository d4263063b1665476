//! What a visitor's cookies hold. All of them are encrypted and authenticated with the key of [`crate::Config`].

use axum::http::HeaderMap;
use axum_extra::extract::PrivateCookieJar;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use cookie::{Cookie, Key, SameSite, time::Duration};
use serde::{Deserialize, Serialize};
use shop_core::{Language, OrderId};
use subtle::ConstantTimeEq as _;

use crate::{cart::Cart, flash::Flash};

/// Who a browser belongs to. Every login and logout makes a new session, so nobody can plant one and wait until somebody logs in
/// with it.
///
/// No `Debug`: it holds a token.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    /// 128 random bits that every form of this session carries.
    csrf: String,
    account: Option<Account>,
}

/// Somebody who has logged in.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Account {
    /// What auth_service gave out.
    pub(crate) token: String,
    /// The address that they log in with.
    pub(crate) email: String,
    /// When the token expires, and this login with it.
    pub(crate) expires_at: DateTime<Utc>,
}

impl Account {
    /// Whether the token says that it is an administrator's. It is not verified here: auth_service has given it to us, and nobody
    /// can change the cookie that it is in. It decides only what is shown; what an administrator may do, the services decide.
    pub(crate) fn is_admin(&self) -> bool {
        #[derive(Deserialize)]
        struct Claims {
            roles: Vec<String>,
        }
        let payload = self.token.split('.').nth(1).and_then(|part| BASE64_URL_SAFE_NO_PAD.decode(part).ok());
        let claims = payload.and_then(|json| serde_json::from_slice::<Claims>(&json).ok());
        claims.is_some_and(|claims| claims.roles.iter().any(|role| role == "admin"))
    }
}

impl Session {
    /// A session without a login.
    pub(crate) fn anonymous() -> Self {
        Self { csrf: BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>()), account: None }
    }

    /// A new session for `account`.
    pub(crate) fn of(account: Account) -> Self {
        Self { account: Some(account), ..Self::anonymous() }
    }

    /// The same session after its login has ended. Forms that are open in the browser stay valid, so that a form that is sent a
    /// second too late leads to the login instead of a refusal.
    pub(crate) fn ended(&self) -> Self {
        Self { account: None, ..self.clone() }
    }

    /// Who is logged in.
    pub(crate) fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    fn has_ended(&self, now: DateTime<Utc>) -> bool {
        self.account.as_ref().is_some_and(|account| account.expires_at <= now)
    }

    /// What a form of this session carries.
    pub(crate) fn csrf_token(&self) -> &str {
        &self.csrf
    }

    /// Whether a form with `token` belongs to this session.
    pub(crate) fn owns_form(&self, token: &str) -> bool {
        self.csrf.as_bytes().ct_eq(token.as_bytes()).into()
    }
}

/// How long a cart, and a session without a login, are kept at most.
const KEPT: Duration = Duration::days(30);
const LANGUAGE_KEPT: Duration = Duration::days(365);
/// As long as auth_service remembers a token that has expired.
const DEVICE_KEPT: Duration = Duration::days(90);
/// How long a guest may look at an order and cancel it after following the link in a mail. The link opens it again.
const GUEST_ORDER_KEPT: Duration = Duration::days(1);
/// A message that nobody has read by then is dropped.
const FLASH_KEPT: Duration = Duration::minutes(5);

/// Reads and writes the cookies of one request.
pub(crate) struct Cookies {
    jar: PrivateCookieJar,
    is_secure: bool,
}

/// What the cookies of a request say.
pub(crate) struct Held {
    /// `None`: there was none, or it was not one of ours.
    pub(crate) session: Option<Session>,
    /// The session's login has run out; `session` is without it.
    pub(crate) has_ended: bool,
    pub(crate) cart: Cart,
    pub(crate) language: Option<Language>,
    pub(crate) flash: Option<Flash>,
    /// The token of this browser's last login, for auth_service to know the browser by.
    pub(crate) device: Option<String>,
    /// The token of the guest's order whose page this is.
    pub(crate) guest_order: Option<String>,
}

impl Cookies {
    /// `is_secure`: the visitor uses TLS.
    pub(crate) fn new(headers: &HeaderMap, key: Key, is_secure: bool) -> Self {
        Self { jar: PrivateCookieJar::from_headers(headers, key), is_secure }
    }

    pub(crate) fn read(&self, now: DateTime<Utc>) -> Held {
        let session: Option<Session> =
            self.value("session").and_then(|json| serde_json::from_str(&json).ok());
        let has_ended = session.as_ref().is_some_and(|session| session.has_ended(now));
        Held {
            session: session.map(|session| if has_ended { session.ended() } else { session }),
            has_ended,
            cart: self.value("cart").map(|text| Cart::decode(&text)).unwrap_or_default(),
            language: self.value("lang").and_then(|code| Language::of_tag(&code)),
            flash: self.value("flash").and_then(|json| serde_json::from_str(&json).ok()),
            device: self.jar.get(self.device_name()).map(|cookie| cookie.value().to_owned()),
            guest_order: self.jar.get(self.guest_order_name()).map(|cookie| cookie.value().to_owned()),
        }
    }

    pub(crate) fn set_session(self, session: &Session) -> Self {
        let json = serde_json::to_string(session).unwrap_or_default();
        self.set("session", json, KEPT)
    }

    pub(crate) fn set_cart(self, cart: &Cart) -> Self {
        if cart.is_empty() { self.clear("cart") } else { self.set("cart", cart.encode(), KEPT) }
    }

    pub(crate) fn set_language(self, language: Language) -> Self {
        self.set("lang", language.code().to_owned(), LANGUAGE_KEPT)
    }

    pub(crate) fn set_flash(self, flash: Flash) -> Self {
        let json = serde_json::to_string(&flash).unwrap_or_default();
        self.set("flash", json, FLASH_KEPT)
    }

    /// Remembers a login beyond its end. Browsers send this cookie only to the login's page, and it grants no access.
    pub(crate) fn set_device(self, token: String) -> Self {
        let mut cookie = self.build("device", token);
        cookie.set_name(self.device_name());
        cookie.set_path("/login");
        cookie.set_max_age(DEVICE_KEPT);
        Self { jar: self.jar.add(cookie), ..self }
    }

    /// Remembers the token of a guest's order. Browsers send this cookie only to the order's own pages.
    pub(crate) fn set_guest_order(self, id: OrderId, token: String) -> Self {
        let mut cookie = self.build("guest", token);
        cookie.set_name(self.guest_order_name());
        cookie.set_path(format!("/orders/{id}"));
        cookie.set_max_age(GUEST_ORDER_KEPT);
        Self { jar: self.jar.add(cookie), ..self }
    }

    pub(crate) fn clear_flash(self) -> Self {
        self.clear("flash")
    }

    pub(crate) fn into_jar(self) -> PrivateCookieJar {
        self.jar
    }

    /// With TLS, the `__Host-` prefix makes browsers refuse such a cookie from a subdomain or without `Secure`.
    fn name(&self, name: &str) -> String {
        if self.is_secure { format!("__Host-shop_{name}") } else { format!("shop_{name}") }
    }

    /// A cookie for one path cannot have the prefix `__Host-`.
    fn device_name(&self) -> &'static str {
        if self.is_secure { "__Secure-shop_device" } else { "shop_device" }
    }

    fn guest_order_name(&self) -> &'static str {
        if self.is_secure { "__Secure-shop_guest" } else { "shop_guest" }
    }

    fn value(&self, name: &str) -> Option<String> {
        self.jar.get(&self.name(name)).map(|cookie| cookie.value().to_owned())
    }

    fn build(&self, name: &str, value: String) -> Cookie<'static> {
        Cookie::build((self.name(name), value))
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(self.is_secure)
            .build()
    }

    fn set(self, name: &str, value: String, kept: Duration) -> Self {
        let mut cookie = self.build(name, value);
        cookie.set_max_age(kept);
        Self { jar: self.jar.add(cookie), ..self }
    }

    fn clear(self, name: &str) -> Self {
        let cookie = self.build(name, String::new());
        Self { jar: self.jar.remove(cookie), ..self }
    }
}

#[cfg(test)]
mod tests {
    use axum::{
        http::header::{COOKIE, SET_COOKIE},
        response::IntoResponse as _,
    };
    use chrono::TimeDelta;

    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    fn key(seed: u8) -> Key {
        Key::derive_from(&[seed; 64])
    }

    fn login() -> Session {
        let expires_at = now() + TimeDelta::minutes(60);
        Session::of(Account { token: "t0ken".into(), email: "user@example.com".into(), expires_at })
    }

    fn set_cookie(cookies: Cookies) -> String {
        let response = cookies.into_jar().into_response();
        response.headers()[SET_COOKIE].to_str().unwrap().to_owned()
    }

    fn read_back(set_cookie: &str, key: Key, is_secure: bool, now: DateTime<Utc>) -> Held {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, set_cookie.split(';').next().unwrap().parse().unwrap());
        Cookies::new(&headers, key, is_secure).read(now)
    }

    #[test]
    fn a_session_cookie_is_opaque_and_closed_to_scripts() {
        let cookie = set_cookie(Cookies::new(&HeaderMap::new(), key(1), false).set_session(&login()));
        assert!(cookie.starts_with("shop_session="), "{cookie}");
        for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=2592000"] {
            assert!(cookie.contains(attribute), "{attribute} in {cookie}");
        }
        assert!(!cookie.contains("Secure") && !cookie.contains("t0ken") && !cookie.contains("user@"));
        let held = read_back(&cookie, key(1), false, now());
        assert_eq!(held.session.unwrap().account().unwrap().email, "user@example.com");
    }

    #[test]
    fn behind_tls_a_cookie_is_secure_and_bound_to_its_host() {
        let cookie = set_cookie(Cookies::new(&HeaderMap::new(), key(1), true).set_session(&login()));
        assert!(cookie.starts_with("__Host-shop_session=") && cookie.contains("Secure"), "{cookie}");
        assert!(read_back(&cookie, key(1), true, now()).session.is_some());
    }

    #[test]
    fn a_device_is_remembered_for_the_login_alone() {
        for (is_secure, name) in [(false, "shop_device="), (true, "__Secure-shop_device=")] {
            let cookies = Cookies::new(&HeaderMap::new(), key(1), is_secure);
            let cookie = set_cookie(cookies.set_device("x".repeat(2_500)));
            assert!(cookie.starts_with(name) && cookie.len() < 4_096, "{cookie}");
            for attribute in ["HttpOnly", "Path=/login", "Max-Age=7776000"] {
                assert!(cookie.contains(attribute), "{attribute} in {cookie}");
            }
            assert_eq!(read_back(&cookie, key(1), is_secure, now()).device, Some("x".repeat(2_500)));
        }
    }

    #[test]
    fn a_guests_order_is_remembered_for_its_own_pages_alone() {
        let id: OrderId = "01936f00-0000-7000-8000-00000000c0de".parse().unwrap();
        for (is_secure, name) in [(false, "shop_guest="), (true, "__Secure-shop_guest=")] {
            let cookies = Cookies::new(&HeaderMap::new(), key(1), is_secure);
            let cookie = set_cookie(cookies.set_guest_order(id, "gu3st".to_owned()));
            assert!(cookie.starts_with(name) && !cookie.contains("gu3st"), "{cookie}");
            for attribute in ["HttpOnly", "SameSite=Lax", &format!("Path=/orders/{id}"), "Max-Age=86400"] {
                assert!(cookie.contains(attribute), "{attribute} in {cookie}");
            }
            let held = read_back(&cookie, key(1), is_secure, now());
            assert_eq!(held.guest_order.as_deref(), Some("gu3st"));
        }
    }

    #[test]
    fn an_administrator_is_known_by_the_token() {
        for (payload, expected) in [
            (r#"{"roles":["admin"],"sub":"1"}"#, true),
            (r#"{"roles":["customer"]}"#, false),
            (r#"{"roles":"admin"}"#, false),
            ("{}", false),
            ("", false),
        ] {
            let token = format!("head.{}.signature", BASE64_URL_SAFE_NO_PAD.encode(payload));
            let account = Account { token, email: "user@example.com".into(), expires_at: now() };
            assert_eq!(account.is_admin(), expected, "{payload}");
        }
    }

    #[test]
    fn a_session_of_another_key_or_with_a_changed_byte_is_none() {
        let cookie = set_cookie(Cookies::new(&HeaderMap::new(), key(1), false).set_session(&login()));
        assert!(read_back(&cookie, key(2), false, now()).session.is_none());
        let flipped = cookie.replacen("shop_session=", "shop_session=A", 1);
        assert!(read_back(&flipped, key(1), false, now()).session.is_none());
    }

    #[test]
    fn a_login_ends_with_its_token_and_its_forms_stay_good() {
        let session = login();
        let cookie = set_cookie(Cookies::new(&HeaderMap::new(), key(1), false).set_session(&session));
        let held = read_back(&cookie, key(1), false, now() + TimeDelta::minutes(60));
        let ended = held.session.unwrap();
        assert!(held.has_ended && ended.account().is_none());
        assert!(ended.owns_form(session.csrf_token()));
    }

    #[test]
    fn every_login_is_a_new_session() {
        assert!(!login().owns_form(login().csrf_token()));
        assert!(!login().owns_form(""));
    }

    #[test]
    fn the_fullest_cookies_fit_into_a_browser() {
        let token = "x".repeat(1_500);
        let account = Account { token, email: "x".repeat(254), expires_at: now() };
        let cookie =
            set_cookie(Cookies::new(&HeaderMap::new(), key(1), true).set_session(&Session::of(account)));
        assert!(cookie.len() < 4_096, "{}", cookie.len());
        let mut cart = Cart::default();
        for id in 0..30 {
            cart.add(shop_core::ProductId(i64::MAX - id), 99).unwrap();
        }
        let cookie = set_cookie(Cookies::new(&HeaderMap::new(), key(1), true).set_cart(&cart));
        assert!(cookie.len() < 4_096, "{}", cookie.len());
    }
}
