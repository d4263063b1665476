use askama::Template;
use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use chrono::TimeDelta;
use serde::Deserialize;
use shop_client::{Failure, OnBehalf, Token};
use shop_core::{Email, password::has_fitting_length};
use shop_runtime::{
    Periodically,
    config::{ExposeSecret as _, SecretString},
    http::{Problem, Query},
};

use crate::{
    app::App,
    cart::Cart,
    failure::retry_after,
    flash::Flash,
    form::{Empty, Form},
    local_path::LocalPath,
    page::{Page, Section, render},
    session::{Account, Session},
    visitor::{Changes, Result, Visit, Visitor},
};

/// The longest token that fits into a cookie with everything around it, in bytes.
const LONGEST_TOKEN: usize = 2_500;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    LogIn,
    Register,
}

#[derive(Deserialize)]
pub(super) struct Onward {
    next: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Credentials {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: SecretString,
    next: Option<String>,
}

/// What is wrong with a form: shown at its fields, or above them.
#[derive(Default)]
struct Errors {
    email: Option<&'static str>,
    password: Option<&'static str>,
    form: Option<String>,
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage<'a> {
    page: Page<'a>,
    is_login: bool,
    email: &'a str,
    next: LocalPath,
    errors: Errors,
}

impl AccountPage<'_> {
    /// The other form, which leads to the same page afterwards.
    fn other_url(&self) -> String {
        self.next.after(if self.is_login { "/register" } else { "/login" })
    }
}

/// `GET /login`
pub(super) async fn login_page(Extension(visitor): Visit, Query(onward): Query<Onward>) -> Result {
    empty_form(&visitor, Purpose::LogIn, &onward)
}

/// `GET /register`
pub(super) async fn register_page(Extension(visitor): Visit, Query(onward): Query<Onward>) -> Result {
    empty_form(&visitor, Purpose::Register, &onward)
}

/// `POST /login`
pub(super) async fn login(
    State(app): State<App>,
    Extension(visitor): Visit,
    Form { fields: form, .. }: Form<Credentials>,
) -> Result {
    submitted(&app, &visitor, Purpose::LogIn, &form).await
}

/// `POST /register`
pub(super) async fn register(
    State(app): State<App>,
    Extension(visitor): Visit,
    Form { fields: form, .. }: Form<Credentials>,
) -> Result {
    submitted(&app, &visitor, Purpose::Register, &form).await
}

/// `POST /logout`: a new session, and an empty cart for whoever uses this browser next.
pub(super) async fn logout(Extension(visitor): Visit, form: Result<Form<Empty>, Problem>) -> Result {
    match form {
        // There is nothing left to do: it was done in another tab.
        _ if visitor.session.account().is_none() => return Ok(Redirect::to("/").into_response()),
        Err(refusal) => return Err(refusal.into()),
        Ok(_) => {}
    }
    let changes =
        Changes::session(Session::anonymous()).with_cart(Cart::default()).with_flash(Flash::LoggedOut);
    Ok((changes, Redirect::to("/")).into_response())
}

fn empty_form(visitor: &Visitor, purpose: Purpose, onward: &Onward) -> Result {
    let next = LocalPath::or_home(onward.next.as_deref());
    if visitor.session.account().is_some() {
        return Ok(Redirect::to(next.as_str()).into_response());
    }
    form_page(visitor, purpose, "", next, Errors::default(), StatusCode::OK)
}

fn form_page(
    visitor: &Visitor,
    purpose: Purpose,
    email: &str,
    next: LocalPath,
    errors: Errors,
    status: StatusCode,
) -> Result {
    let t = visitor.texts();
    let title = if purpose == Purpose::LogIn { t.nav_login } else { t.nav_register };
    let page = Page::new(visitor, Section::Elsewhere, title);
    Ok(render(status, &AccountPage { page, is_login: purpose == Purpose::LogIn, email, next, errors })?)
}

async fn submitted(app: &App, visitor: &Visitor, purpose: Purpose, form: &Credentials) -> Result {
    let next = LocalPath::or_home(form.next.as_deref());
    let again = |errors, status| form_page(visitor, purpose, &form.email, next.clone(), errors, status);
    let password = form.password.expose_secret();
    let email = match checked(visitor, purpose, &form.email, password) {
        Ok(email) => email,
        Err(errors) => return again(errors, StatusCode::UNPROCESSABLE_ENTITY),
    };
    // Already logged in, in another tab. With the same account there is nothing left to do; with another, the login changes it.
    if visitor.session.account().is_some_and(|account| account.email == email.as_str()) {
        return Ok(Redirect::to(next.as_str()).into_response());
    }
    let on_behalf = OnBehalf { peer: &visitor.peer, device: visitor.device.as_deref() };
    let outcome = match purpose {
        Purpose::LogIn => app.auth.log_in(&email, password, on_behalf).await,
        Purpose::Register => app.auth.register(&email, password, on_behalf).await,
    };
    match outcome {
        Ok(token) => {
            let flash = if purpose == Purpose::LogIn { Flash::LoggedIn } else { Flash::Registered };
            logged_in(app, &email, &token, &next, flash).map_err(|failure| visitor.stopped_by(failure))
        }
        Err(failure) => match explain(visitor, failure) {
            Ok((errors, status)) => again(errors, status),
            Err(failure) => Err(visitor.stopped_by(failure)),
        },
    }
}

/// Checks what needs no call: the form of the address, and the length of a new password.
fn checked(visitor: &Visitor, purpose: Purpose, email: &str, password: &str) -> Result<Email, Errors> {
    let t = visitor.texts();
    let password_error = match purpose {
        Purpose::LogIn if password.is_empty() => Some(t.error_password_empty),
        Purpose::Register if !has_fitting_length(password) => Some(t.error_password_length),
        _ => None,
    };
    match (email.parse(), password_error) {
        (Ok(email), None) => Ok(email),
        (parsed, password) => {
            Err(Errors { email: parsed.err().map(|_| t.error_email), password, form: None })
        }
    }
}

fn logged_in(
    app: &App,
    email: &Email,
    token: &Token,
    next: &LocalPath,
    flash: Flash,
) -> Result<Response, Failure> {
    let device = token.access_token.expose_secret().to_owned();
    if device.len() > LONGEST_TOKEN {
        let reason = "the token is too long for a cookie".to_owned();
        return Err(Failure::Unreadable { service: app.auth.upstream().name(), reason });
    }
    let expires_at = app.clock.now() + TimeDelta::seconds(token.expires_in.into());
    let account = Account { token: device.clone(), email: email.to_string(), expires_at };
    let changes = Changes::session(Session::of(account)).with_device(device).with_flash(flash);
    Ok((changes, Redirect::to(next.as_str())).into_response())
}

/// The words for a failure, or the failure if there are none for it.
fn explain(visitor: &Visitor, failure: Failure) -> Result<(Errors, StatusCode), Failure> {
    let t = visitor.texts();
    let above = |text: String| Errors { form: Some(text), ..Errors::default() };
    match failure {
        Failure::Unavailable { .. } => {
            static UNAVAILABLE: Periodically = Periodically::line();
            if let Some(count) = UNAVAILABLE.due() {
                tracing::warn!(error = %failure, count, "nobody can log in");
            }
            Ok((above(t.error_auth_away.to_owned()), StatusCode::SERVICE_UNAVAILABLE))
        }
        Failure::Refused(refusal) => {
            let errors = match refusal.slug.as_str() {
                _ if refusal.status == StatusCode::TOO_MANY_REQUESTS => {
                    let seconds = retry_after(refusal.retry_after).to_string();
                    above(t.error_busy.replace("{seconds}", &seconds))
                }
                "bad-credentials" => above(t.error_credentials.to_owned()),
                "email-taken" => Errors { email: Some(t.error_email_taken), ..Errors::default() },
                _ if refusal.is_about("/email") => Errors { email: Some(t.error_email), ..Errors::default() },
                _ if refusal.is_about("/password") => {
                    Errors { password: Some(t.error_password_refused), ..Errors::default() }
                }
                _ => return Err(Failure::Refused(refusal)),
            };
            Ok((errors, refusal.status))
        }
        failure => Err(failure),
    }
}
