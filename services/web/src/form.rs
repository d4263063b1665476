//! Forms: of bounded size, from our own pages, and readable.

use std::sync::Arc;

use axum::{
    extract::{FromRequest, Request},
    http::StatusCode,
};
use serde::de::DeserializeOwned;
use shop_runtime::http::{self as runtime, Problem};

use crate::{app::App, origin::Source, visitor::Visitor};

/// A form that one of our own pages sent. Handlers read bodies in no other way, so none can forget the check.
///
/// Two checks keep forms of other sites out: the browser says where the form comes from ([`Source`]), and the form carries its
/// session's token.
pub(crate) struct Form<T> {
    pub(crate) fields: T,
    /// The browser assures us that it comes from our own page, but it belongs to another session: somebody has logged in or out in
    /// another tab since the page was made. A handler must not simply do what the visitor could not see.
    pub(crate) is_stale: bool,
}

/// A form without fields of its own.
#[derive(serde::Deserialize)]
pub(crate) struct Empty {}

impl<T: DeserializeOwned> FromRequest<App> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let visitor = request.extensions().get::<Arc<Visitor>>().cloned();
        let visitor = visitor.ok_or_else(|| anyhow::anyhow!("a form outside of the visitor's layer"))?;
        let source = Source::of(request.headers(), app.trust_proxy);
        if source == Source::Foreign {
            return Err(stale());
        }
        let runtime::Form(fields): runtime::Form<Vec<(String, String)>> =
            runtime::Form::from_request(request, app).await?;
        let token = fields.iter().find(|(name, _)| name == "csrf").map_or("", |(_, value)| value);
        let is_stale = !visitor.session.owns_form(token);
        if is_stale && source != Source::Ours {
            return Err(stale());
        }
        // Written out again: only from text does serde read a number for a field that is a number.
        let text = serde_urlencoded::to_string(fields).map_err(Problem::internal)?;
        serde_urlencoded::from_str(&text)
            .map(|fields| Self { fields, is_stale })
            .map_err(|error| Problem::bad_request(format!("The form cannot be read: {error}.")))
    }
}

fn stale() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "stale-form", "This form is out of date")
}
