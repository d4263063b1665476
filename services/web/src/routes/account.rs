use askama::Template;
use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use chrono::TimeDelta;
use serde::Deserialize;
use shop_core::{Email, password::has_fitting_length};
use shop_runtime::{
    Periodically,
    config::{ExposeSecret as _, SecretString},
    http::{Problem, Query},
};

use crate::{
    cart::Cart,
    clients::{Failure, OnBehalf, Refusal, Token},
    form::{Empty, Form},
    local_path::LocalPath,
    page::{Page, Section, render},
    session::{Account, Flash, Session},
    state::AppState,
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

/// What is wrong with a form, at its fields or above them.
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
    /// The other form, with the same way onward.
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
    State(state): State<AppState>,
    Extension(visitor): Visit,
    Form { fields: form, .. }: Form<Credentials>,
) -> Result {
    submitted(&state, &visitor, Purpose::LogIn, &form).await
}

/// `POST /register`
pub(super) async fn register(
    State(state): State<AppState>,
    Extension(visitor): Visit,
    Form { fields: form, .. }: Form<Credentials>,
) -> Result {
    submitted(&state, &visitor, Purpose::Register, &form).await
}

/// `POST /logout`: a new session, and an empty cart for whoever uses this browser next.
pub(super) async fn logout(Extension(visitor): Visit, form: Result<Form<Empty>, Problem>) -> Result {
    match form {
        // There is nothing left to do, whoever asks: a second tab has done it.
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
    let t = visitor.lang.texts();
    let title = if purpose == Purpose::LogIn { t.nav_login } else { t.nav_register };
    let page = Page::new(visitor, Section::Elsewhere, title);
    Ok(render(status, &AccountPage { page, is_login: purpose == Purpose::LogIn, email, next, errors })?)
}

async fn submitted(state: &AppState, visitor: &Visitor, purpose: Purpose, form: &Credentials) -> Result {
    let next = LocalPath::or_home(form.next.as_deref());
    let again = |errors, status| form_page(visitor, purpose, &form.email, next.clone(), errors, status);
    let password = form.password.expose_secret();
    let email = match checked(visitor, purpose, &form.email, password) {
        Ok(email) => email,
        Err(errors) => return again(errors, StatusCode::UNPROCESSABLE_ENTITY),
    };
    // Somebody logged in in another tab: as the same person there is nothing left to do, as another they log in as that one.
    if visitor.session.account().is_some_and(|account| account.email == email.as_str()) {
        return Ok(Redirect::to(next.as_str()).into_response());
    }
    let on_behalf = OnBehalf { peer: &visitor.peer, device: visitor.device.as_deref() };
    let outcome = match purpose {
        Purpose::LogIn => state.auth.log_in(&email, password, &on_behalf).await,
        Purpose::Register => state.auth.register(&email, password, &on_behalf).await,
    };
    match outcome {
        Ok(token) => {
            let flash = if purpose == Purpose::LogIn { Flash::LoggedIn } else { Flash::Registered };
            logged_in(state, &email, token, &next, flash).map_err(|failure| visitor.stopped_by(failure))
        }
        Err(failure) => match explain(visitor, failure) {
            Ok((errors, status)) => again(errors, status),
            Err(failure) => Err(visitor.stopped_by(failure)),
        },
    }
}

/// What can be said without asking: the form of the address, and the length of a new password.
fn checked(visitor: &Visitor, purpose: Purpose, email: &str, password: &str) -> Result<Email, Errors> {
    let t = visitor.lang.texts();
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
    state: &AppState,
    email: &Email,
    token: Token,
    next: &LocalPath,
    flash: Flash,
) -> Result<Response, Failure> {
    let broken = |reason: &str| Failure::Broken { service: "auth_service", reason: reason.to_owned() };
    if token.access_token.len() > LONGEST_TOKEN {
        return Err(broken("the token is too long for a cookie"));
    }
    let lifetime = TimeDelta::try_seconds(token.expires_in).ok_or_else(|| broken("expires_in is absurd"))?;
    let expires_at =
        state.clock.now().checked_add_signed(lifetime).ok_or_else(|| broken("expires_in is absurd"))?;
    let device = token.access_token.clone();
    let account = Account { token: token.access_token, email: email.to_string(), expires_at };
    let changes = Changes::session(Session::of(account)).with_device(device).with_flash(flash);
    Ok((changes, Redirect::to(next.as_str())).into_response())
}

/// The words for what auth_service said, where there are any.
fn explain(visitor: &Visitor, failure: Failure) -> Result<(Errors, StatusCode), Failure> {
    let t = visitor.lang.texts();
    let above = |text: String| Errors { form: Some(text), ..Errors::default() };
    match failure {
        Failure::Away { .. } => {
            static AWAY: Periodically = Periodically::line();
            if let Some(count) = AWAY.due() {
                tracing::warn!(error = %failure, count, "nobody can log in");
            }
            Ok((above(t.error_auth_away.to_owned()), StatusCode::SERVICE_UNAVAILABLE))
        }
        Failure::Busy { retry_after } => {
            let text = t.error_busy.replace("{seconds}", &retry_after.to_string());
            Ok((above(text), StatusCode::TOO_MANY_REQUESTS))
        }
        Failure::Refused(refusal) => {
            let errors = match refusal.slug.as_str() {
                "bad-credentials" => above(t.error_credentials.to_owned()),
                "email-taken" => Errors { email: Some(t.error_email_taken), ..Errors::default() },
                _ if names(&refusal, "/email") => Errors { email: Some(t.error_email), ..Errors::default() },
                _ if names(&refusal, "/password") => {
                    Errors { password: Some(t.error_password_refused), ..Errors::default() }
                }
                _ => return Err(Failure::Refused(refusal)),
            };
            Ok((errors, refusal.status))
        }
        failure => Err(failure),
    }
}

/// Whether a problem is about the field at `pointer`.
fn names(refusal: &Refusal, pointer: &str) -> bool {
    let errors = refusal.body["errors"].as_array();
    errors.is_some_and(|errors| errors.iter().any(|error| error["pointer"] == pointer))
}
