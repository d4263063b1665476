//! What a visitor is: who asks, what the page around the answer shows of them, and what their browser is to remember.
//!
//! Handlers do not touch cookies: they read [`Visitor`] and respond with [`Changes`]; the layer does the rest.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Extension,
    response::{IntoResponse, IntoResponseParts, Redirect, Response, ResponseParts},
};
use shop_client::{Failure, Owner};
use shop_core::{Language, OrderId};
use shop_runtime::http::{Peer, Problem};

use crate::{
    cart::Cart,
    failure,
    flash::Flash,
    i18n::Texts,
    local_path::LocalPath,
    session::{Account, Session},
};

/// The visitor as a handler's argument.
pub(crate) type Visit = Extension<Arc<Visitor>>;

/// Who asks, and what the page around the answer shows of them.
pub(crate) struct Visitor {
    pub(crate) language: Language,
    pub(crate) session: Session,
    pub(crate) cart: Cart,
    pub(crate) flash: Option<Flash>,
    /// The page that the visitor is on, to come back to.
    pub(crate) here: LocalPath,
    /// Where the request comes from.
    pub(crate) peer: Peer,
    /// The token of this browser's last login; it may have expired.
    pub(crate) device: Option<String>,
    /// The token of the guest's order whose page this is.
    pub(crate) guest_order: Option<String>,
    /// Their login has run out; `session` is without it.
    pub(crate) has_ended: bool,
}

/// What a handler wants the browser to remember; part of its response.
#[derive(Clone, Default)]
#[must_use]
pub(crate) struct Changes {
    pub(crate) session: Option<Session>,
    pub(crate) cart: Option<Cart>,
    pub(crate) language: Option<Language>,
    pub(crate) flash: Option<Flash>,
    pub(crate) device: Option<String>,
    pub(crate) guest_order: Option<(OrderId, String)>,
}

impl Changes {
    pub(crate) fn session(session: Session) -> Self {
        Self { session: Some(session), ..Self::default() }
    }

    pub(crate) fn language(language: Language) -> Self {
        Self { language: Some(language), ..Self::default() }
    }

    pub(crate) fn with_cart(self, cart: Cart) -> Self {
        Self { cart: Some(cart), ..self }
    }

    /// Remembers the browser by a token of its account.
    pub(crate) fn with_device(self, token: String) -> Self {
        Self { device: Some(token), ..self }
    }

    /// Remembers the token of a guest's order for its pages.
    pub(crate) fn with_guest_order(self, id: OrderId, token: String) -> Self {
        Self { guest_order: Some((id, token)), ..self }
    }

    pub(crate) fn with_flash(self, flash: Flash) -> Self {
        Self { flash: Some(flash), ..self }
    }
}

impl IntoResponseParts for Changes {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}

/// A response that ends a handler early: a problem, or a redirect to the login.
#[derive(Debug)]
pub(crate) struct Stop(Box<Response>);

/// What a handler returns.
pub(crate) type Result<T = Response, E = Stop> = std::result::Result<T, E>;

impl From<Response> for Stop {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        problem.into_response().into()
    }
}

impl IntoResponse for Stop {
    fn into_response(self) -> Response {
        *self.0
    }
}

impl Visitor {
    /// Every text in their language.
    pub(crate) fn texts(&self) -> &'static Texts {
        Texts::of(self.language)
    }

    /// The account that is logged in; for anybody else, a redirect to the login and from there back to this page.
    pub(crate) fn account(&self) -> Result<&Account> {
        self.session.account().ok_or_else(|| self.login_first())
    }

    /// What makes the order of this page theirs, if anything does: the link that a guest has followed, or else the login.
    pub(crate) fn owner(&self) -> Option<Owner<'_>> {
        let guest = self.guest_order.as_deref().map(Owner::Guest);
        guest.or_else(|| self.session.account().map(|account| Owner::Account(&account.token)))
    }

    /// A redirect to the login, and from there back to this page.
    pub(crate) fn login_first(&self) -> Stop {
        self.to_login(&self.here, Changes::default()).into()
    }

    /// A redirect to the login, and from there to `next`.
    pub(crate) fn to_login(&self, next: &LocalPath, changes: Changes) -> Response {
        let had_login = self.has_ended || self.session.account().is_some();
        let flash = if had_login { Flash::SessionEnded } else { Flash::LoginNeeded };
        let changes = Changes { session: Some(self.session.ended()), flash: Some(flash), ..changes };
        (changes, Redirect::to(&next.after("/login"))).into_response()
    }

    /// The answer to a failed call that the handler has no better words for.
    pub(crate) fn stopped_by(&self, failure: Failure) -> Stop {
        match failure {
            Failure::Unauthorized(_) => self.login_first(),
            failure => failure::problem(&failure).into(),
        }
    }
}
