//! The pages on which mails in a folder can be read. They are for demonstrations: whoever can reach the service reads everybody's mails.

use askama::Template;
use axum::{
    extract::State,
    response::{Html, IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, header};
use serde::Deserialize;
use shop_runtime::http::{Path, Problem, Query};
use uuid::Uuid;

use crate::{
    app::App,
    mail::{Folder, Mail, PAGE},
};

/// The pages: no scripts, no pictures, and only the mail itself in a frame.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; frame-ancestors 'none'; \
     form-action 'none'; base-uri 'none'";

/// The mail: it is a document of nobody, so a script in it would not run, and could reach nothing. Its links open in a new tab.
const MAIL_POLICY: &str = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; \
     style-src 'unsafe-inline'; frame-ancestors 'self'; form-action 'none'; base-uri 'none'";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Before {
    before: Option<Uuid>,
}

#[derive(Template)]
#[template(path = "mailbox.html")]
struct ListPage {
    mails: Vec<Mail>,
    next: Option<Uuid>,
}

#[derive(Template)]
#[template(path = "mailbox_mail.html")]
struct MailPage {
    mail: Mail,
}

/// The newest mails.
pub(super) async fn list(
    State(app): State<App>,
    Query(Before { before }): Query<Before>,
) -> Result<Response, Problem> {
    let mails = folder(&app)?.list(before).await.map_err(Problem::internal)?;
    let next = mails.last().filter(|_| mails.len() == PAGE).map(|mail| mail.id);
    page(&ListPage { mails, next })
}

/// One mail.
pub(super) async fn mail(State(app): State<App>, Path(id): Path<Uuid>) -> Result<Response, Problem> {
    page(&MailPage { mail: found(&app, id).await? })
}

/// The part of a mail that is HTML, for the frame in its page.
pub(super) async fn html(State(app): State<App>, Path(id): Path<Uuid>) -> Result<Response, Problem> {
    Ok(document(found(&app, id).await?.html, MAIL_POLICY))
}

async fn found(app: &App, id: Uuid) -> Result<Mail, Problem> {
    let mail = folder(app)?.mail(id).await.map_err(Problem::internal)?;
    mail.ok_or_else(|| Problem::not_found("No such mail."))
}

fn folder(app: &App) -> Result<&Folder, Problem> {
    app.mailbox.as_ref().ok_or_else(|| Problem::not_found("No such path."))
}

fn page(page: &impl Template) -> Result<Response, Problem> {
    let html = page.render().map_err(|error| Problem::internal(anyhow::Error::new(error)))?;
    Ok(document(html, PAGE_POLICY))
}

fn document(html: String, policy: &'static str) -> Response {
    const HEADERS: [(HeaderName, &str); 2] =
        [(header::X_CONTENT_TYPE_OPTIONS, "nosniff"), (header::REFERRER_POLICY, "no-referrer")];
    let policy = [(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy))];
    (HEADERS, policy, Html(html)).into_response()
}
