use axum::extract::{FromRef, FromRequestParts, OptionalFromRequestParts};
use chrono::{DateTime, Utc};
use http::{header, request::Parts};
use shop_core::{Email, UserId};

use super::{
    claims::Role,
    verifier::{Refusal, TokenVerifier},
};
use crate::http::{Documented, Problem};

/// The authenticated caller of a request. As a handler's argument, `Caller` requires a token; with `Option<Caller>` the token is
/// optional, but must be valid if it is there.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The account.
    pub id: UserId,
    /// Its e-mail address.
    pub email: Email,
    /// What it may do.
    pub roles: Vec<Role>,
    /// When the token expires.
    pub expires_at: DateTime<Utc>,
}

impl Caller {
    /// Whether the caller is an admin.
    pub fn is_admin(&self) -> bool {
        self.roles.contains(&Role::Admin)
    }

    /// The response to a request that needs a token but has none.
    pub fn missing() -> Problem {
        Problem::unauthorized("Send a token: `Authorization: Bearer <token>`.")
    }
}

/// A caller with [`Role::Admin`]. Anybody else gets 401 or 403.
#[derive(Clone, Debug)]
pub struct Admin(pub Caller);

impl Admin {
    fn refusal() -> Problem {
        Problem::forbidden("Only an admin may do this.")
    }
}

impl Documented for Caller {
    fn examples() -> Vec<Problem> {
        vec![Refusal::Expired.into()]
    }
}

impl Documented for Admin {
    fn examples() -> Vec<Problem> {
        vec![Refusal::Expired.into(), Self::refusal()]
    }
}

fn caller(parts: &Parts, verifier: &TokenVerifier) -> Result<Option<Caller>, Problem> {
    let mut headers = parts.headers.get_all(header::AUTHORIZATION).iter();
    let Some(header) = headers.next() else { return Ok(None) };
    if headers.next().is_some() {
        return Err(Problem::unauthorized("There is more than one Authorization header."));
    }
    let token = header.to_str().ok().and_then(|value| value.split_once(' '));
    let Some((_, token)) = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer")) else {
        return Err(Problem::unauthorized("The Authorization header must be `Bearer <token>`."));
    };
    let claims = verifier.verify(token.trim())?;
    Ok(Some(Caller {
        id: claims.sub,
        email: claims.email,
        roles: claims.roles,
        expires_at: DateTime::from_timestamp(claims.exp, 0).unwrap_or(DateTime::<Utc>::MAX_UTC),
    }))
}

impl<S: Send + Sync> FromRequestParts<S> for Caller
where
    TokenVerifier: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        caller(parts, &TokenVerifier::from_ref(state))?.ok_or_else(Self::missing)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Caller
where
    TokenVerifier: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Problem> {
        caller(parts, &TokenVerifier::from_ref(state))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Admin
where
    TokenVerifier: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = <Caller as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        if caller.is_admin() { Ok(Self(caller)) } else { Err(Self::refusal()) }
    }
}
