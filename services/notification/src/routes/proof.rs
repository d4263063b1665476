use axum::extract::FromRequestParts;
use http::{HeaderName, StatusCode, request::Parts};
use shop_runtime::http::{Documented, Problem};

use crate::app::{App, BotProofs};

const BOT_PROOF: HeaderName = HeaderName::from_static("x-bot-proof");

/// A request of the shop's bot, or of somebody who says so: [`Bot::proves_link`] and [`Bot::proves_unlink`] tell.
pub(super) struct Bot {
    proofs: BotProofs,
    proof: String,
}

impl Bot {
    /// The bot has seen the customer of this access token in this chat.
    pub(super) fn proves_link(&self, chat_id: i64, access_token: &str) -> Result<(), Problem> {
        let chat = chat_id.to_string();
        self.checked(self.proofs.link.is_of(&self.proof, &[chat.as_bytes(), access_token.as_bytes()]))
    }

    /// Somebody has logged out in this chat.
    pub(super) fn proves_unlink(&self, chat_id: i64) -> Result<(), Problem> {
        let chat = chat_id.to_string();
        self.checked(self.proofs.unlink.is_of(&self.proof, &[chat.as_bytes()]))
    }

    fn checked(&self, is_right: bool) -> Result<(), Problem> {
        if is_right { Ok(()) } else { Err(invalid()) }
    }
}

fn invalid() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "bot-proof-invalid", "This is not a request of the shop's bot")
        .detail("X-Bot-Proof must be the bot's seal on this request.")
}

fn no_bot() -> Problem {
    Problem::not_found("The shop writes to nobody in Telegram.")
}

impl FromRequestParts<App> for Bot {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let mut headers = parts.headers.get_all(BOT_PROOF).iter();
        let proof = headers.next().and_then(|value| value.to_str().ok()).ok_or_else(invalid)?.to_owned();
        if headers.next().is_some() {
            return Err(invalid());
        }
        Ok(Self { proofs: app.bot.clone().ok_or_else(no_bot)?, proof })
    }
}

impl Documented for Bot {
    fn examples() -> Vec<Problem> {
        vec![no_bot(), invalid()]
    }
}
