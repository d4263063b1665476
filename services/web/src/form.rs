//! Forms: bounded, ours, and readable.

use std::sync::Arc;

use axum::{
    extract::{FromRequest, Request},
    http::StatusCode,
};
use serde::de::DeserializeOwned;
use shop_runtime::http::{self as runtime, Problem};

use crate::{origin::Source, state::AppState, visitor::Visitor};

/// A form that one of our own pages sent: the only way in which a handler reads a body, so that none forgets to ask.
///
/// Two locks keep strangers' pages out: the browser says where the form comes from ([`Source`]), and the form carries its
/// session's token.
pub(crate) struct Form<T> {
    pub(crate) fields: T,
    /// It is of our own page, as the browser assures us, and not of this session: somebody logged in or out in another tab since
    /// the page was made. What the visitor then did not see, may not simply be done.
    pub(crate) is_stale: bool,
}

/// A form without fields of its own.
#[derive(serde::Deserialize)]
pub(crate) struct Empty {}

impl<T: DeserializeOwned> FromRequest<AppState> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let visitor = request.extensions().get::<Arc<Visitor>>().cloned();
        let visitor = visitor.ok_or_else(|| anyhow::anyhow!("a form outside of the visitor's layer"))?;
        let source = Source::of(request.headers(), state.trust_proxy);
        if source == Source::Foreign {
            return Err(stale());
        }
        let runtime::Form(fields): runtime::Form<Vec<(String, String)>> =
            runtime::Form::from_request(request, state).await?;
        let token = fields.iter().find(|(name, _)| name == "csrf").map_or("", |(_, value)| value);
        let is_stale = !visitor.session.owns_form(token);
        if is_stale && source != Source::Ours {
            return Err(stale());
        }
        // Written out again, because only text says that a field which should be a number is one.
        let text = serde_urlencoded::to_string(fields).map_err(Problem::internal)?;
        serde_urlencoded::from_str(&text)
            .map(|fields| Self { fields, is_stale })
            .map_err(|error| Problem::bad_request(format!("The form cannot be read: {error}.")))
    }
}

fn stale() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "stale-form", "This form is out of date")
}
