//! The layer around every page. Before the handler it reads the [`Visitor`] from the request's cookies, and after it writes the
//! [`Changes`] back. Errors leave a handler as the runtime's problems and become pages here, in the visitor's language.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header, uri::PathAndQuery},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use shop_runtime::http::Peer;
use url::{Host, Url};

use crate::{
    app::App,
    forwarded::Forwarded,
    i18n,
    local_path::LocalPath,
    page,
    session::{Cookies, Session},
    visitor::{Changes, Visitor},
};

/// Handles a request on behalf of its visitor.
pub(crate) async fn receive(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let forwarded = Forwarded::read(request.headers(), app.trust_proxy);
    let is_secure = forwarded.is_secure();
    let may_pin = is_secure && is_public_name(forwarded.host.or_else(|| host(request.headers())));
    if matches!(request.uri().path(), "/health" | "/livez" | "/readyz" | "/metrics") {
        return next.run(request).await;
    }
    let cookies = Cookies::new(request.headers(), app.key.clone(), is_secure);
    let held = cookies.read(app.clock.now());
    let is_new = held.session.is_none();
    let visitor = Arc::new(Visitor {
        language: held.language.unwrap_or_else(|| i18n::negotiate(request.headers())),
        session: held.session.unwrap_or_else(Session::anonymous),
        cart: held.cart,
        flash: held.flash,
        here: here(&request),
        peer: Peer::of(request.extensions(), request.headers(), app.trust_proxy),
        device: held.device,
        guest_order: held.guest_order,
        has_ended: held.has_ended,
    });
    let wants_page = wants_page(request.headers());
    request.extensions_mut().insert(Arc::clone(&visitor));

    let mut response = next.run(request).await;
    if wants_page && content_type_is(&response, "application/problem+json") {
        response = page::problem_page(&visitor, response).await;
    }
    let changes = response.extensions_mut().remove::<Changes>().unwrap_or_default();
    let is_page = content_type_is(&response, "text/html");
    protect(response.headers_mut(), may_pin);
    if is_page {
        // A page belongs to one visitor: no cache keeps it, and the Back button does not show it after a logout.
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
            .headers_mut()
            .insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(visitor.language.code()));
        response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-language, cookie"));
    }
    let cookies = remember(cookies, &changes, &visitor, is_new, is_page);
    (cookies.into_jar(), response).into_response()
}

fn remember(
    mut cookies: Cookies,
    changes: &Changes,
    visitor: &Visitor,
    is_new: bool,
    is_page: bool,
) -> Cookies {
    match &changes.session {
        Some(session) => cookies = cookies.set_session(session),
        // The forms of the page that was just rendered belong to this session.
        None if is_page && (is_new || visitor.has_ended) => cookies = cookies.set_session(&visitor.session),
        None => {}
    }
    if let Some(cart) = &changes.cart {
        cookies = cookies.set_cart(cart);
    }
    if let Some(language) = changes.language {
        cookies = cookies.set_language(language);
    }
    if let Some(token) = &changes.device {
        cookies = cookies.set_device(token.clone());
    }
    if let Some((id, token)) = &changes.guest_order {
        cookies = cookies.set_guest_order(*id, token.clone());
    }
    match changes.flash {
        Some(flash) => cookies.set_flash(flash),
        // It is on the page now.
        None if is_page && visitor.flash.is_some() => cookies.clear_flash(),
        None => cookies,
    }
}

/// The page that a visitor is on, even when it is the response to a form: `POST /order` shows the cart.
fn here(request: &Request) -> LocalPath {
    let uri = request.uri();
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return LocalPath::or_home(uri.path_and_query().map(PathAndQuery::as_str));
    }
    LocalPath::or_home(Some(match uri.path() {
        "/order" => "/cart",
        path if path.starts_with("/cart/") => "/cart",
        "/logout" | "/language" => "/",
        path => path.strip_suffix("/cancel").unwrap_or(path),
    }))
}

/// The host of the request, where no proxy names another.
fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok()
}

/// Whether a browser may be told to use only TLS with this host. Not `localhost`: it would apply to every other service there. An IP
/// address cannot have this policy (RFC 6797, section 8.1.1).
fn is_public_name(host: Option<&str>) -> bool {
    let Some(url) = host.and_then(|host| Url::parse(&format!("https://{host}")).ok()) else { return false };
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name != "localhost" && !name.ends_with(".localhost")
        }
        _ => false,
    }
}

/// Whether the response is for a person. A program that asks for JSON gets the problem as it is.
fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
    accept.contains("text/html") || accept.contains("*/*")
}

fn content_type_is(response: &Response, essence: &str) -> bool {
    let value = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.is_some_and(|value| value.starts_with(essence))
}

/// Only our own scripts, styles and pictures; scripts and forms talk to nobody else.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

fn protect(headers: &mut HeaderMap, may_pin: bool) {
    const HEADERS: [(HeaderName, &str); 7] = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Not `no-referrer`: browsers would then send `Origin: null` with our own forms.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=(), payment=()",
        ),
    ];
    for (name, value) in HEADERS {
        // A policy that a handler has set itself, as for pictures, stays.
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if may_pin {
        let a_year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, a_year);
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn here_of(method: Method, uri: &str) -> String {
        here(&Request::builder().method(method).uri(uri).body(Body::empty()).unwrap()).to_string()
    }

    #[test]
    fn the_answer_to_a_form_has_an_address_that_can_be_opened() {
        assert_eq!(here_of(Method::GET, "/catalog?q=tea"), "/catalog?q=tea");
        assert_eq!(here_of(Method::POST, "/order"), "/cart");
        assert_eq!(here_of(Method::POST, "/cart/update"), "/cart");
        assert_eq!(here_of(Method::POST, "/orders/0190/cancel"), "/orders/0190");
        assert_eq!(here_of(Method::POST, "/login"), "/login");
        assert_eq!(here_of(Method::GET, "//evil.example/x"), "/");
    }

    #[test]
    fn only_a_name_that_is_somebodys_own_is_pinned_to_tls() {
        for host in
            ["shop.example", "shop.example:8443", "shop.example.", "SHOP.example", "localhost.example"]
        {
            assert!(is_public_name(Some(host)), "{host}");
        }
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "localhost.",
            "shop.localhost",
            "127.0.0.1:8080",
            "2130706433",
            "[::1]:8080",
            "",
            "a b",
        ] {
            assert!(!is_public_name(Some(host)), "{host}");
        }
    }

    #[test]
    fn a_program_that_asks_for_json_gets_no_page() {
        let accept = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(value));
            wants_page(&headers)
        };
        assert!(wants_page(&HeaderMap::new()));
        assert!(accept("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(!accept("application/json"));
    }
}
