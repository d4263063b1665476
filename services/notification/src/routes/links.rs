use axum::extract::State;
use http::{HeaderMap, StatusCode, header};
use sea_orm::DbErr;
use serde::Deserialize;
use shop_core::Language;
use shop_runtime::{
    auth::Caller,
    http::{Json, Path, Problem, Problems},
};
use utoipa::ToSchema;

use super::proof::Bot;
use crate::{app::App, store::Link};

/// The chat in which a customer wants to be told about their orders.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = TelegramLink)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkBody {
    /// The chat.
    #[schema(examples(77))]
    chat_id: i64,
    /// The language of the messages there.
    #[schema(value_type = String, examples("en"))]
    language: Language,
}

/// Links a Telegram chat to the caller's account
///
/// For the shop's bot, when a customer has logged in. From then on, what happens to orders that were placed with the account is also told in the
/// chat. A new chat replaces the account's previous one, and a new account the chat's previous one.
#[utoipa::path(
    put,
    path = "/telegram-links",
    tag = "telegram",
    request_body = LinkBody,
    params(("X-Bot-Proof" = String, Header, description = "The bot's seal on the chat and the access token")),
    security(("bearer" = [])),
    responses(
        (status = 204, description = "The chat is linked"),
        Problems<(DbErr, Caller, Bot, Json<LinkBody>)>,
    )
)]
pub(super) async fn link(
    State(app): State<App>,
    caller: Caller,
    bot: Bot,
    headers: HeaderMap,
    Json(body): Json<LinkBody>,
) -> Result<StatusCode, Problem> {
    bot.proves_link(body.chat_id, access_token(&headers))?;
    let link =
        Link { chat_id: body.chat_id, user_id: caller.id, email: caller.email, language: body.language };
    app.store.link(&link).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The token by which the caller was identified.
fn access_token(headers: &HeaderMap) -> &str {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.split_once(' ')).map(|(_, token)| token.trim()).unwrap_or_default()
}

/// Removes the link of a Telegram chat
///
/// For the shop's bot, when a customer has logged out. It needs no access token, which may have expired.
#[utoipa::path(
    delete,
    path = "/telegram-links/{chat_id}",
    tag = "telegram",
    params(
        ("chat_id" = i64, Path, description = "The chat"),
        ("X-Bot-Proof" = String, Header, description = "The bot's seal on the chat"),
    ),
    responses(
        (status = 204, description = "The chat is not linked, now or before"),
        Problems<(DbErr, Bot)>,
    )
)]
pub(super) async fn unlink(
    State(app): State<App>,
    bot: Bot,
    Path(chat_id): Path<i64>,
) -> Result<StatusCode, Problem> {
    bot.proves_unlink(chat_id)?;
    app.store.unlink(chat_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
