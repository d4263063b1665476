//! Reads what people type: commands, and the lines of an order. Pure: it knows neither Telegram's types nor the shop's services.

use std::fmt;

use shop_core::{
    Basket, Email, ProductId,
    basket::{Limits, Line, Unfit},
};
use shop_runtime::config::SecretString;
use thiserror::Error;

/// A command, with its arguments, or why they were not understood.
#[derive(Debug)]
pub(crate) enum Command {
    Start,
    Help,
    Login(Result<Credentials, LoginError>),
    Logout,
    Products,
    Order(Result<Draft, OrderError>),
    Orders,
    Unknown(String),
}

impl Command {
    /// For span names and metrics: one of a few fixed words, whatever was typed.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Help => "help",
            Self::Login(_) => "login",
            Self::Logout => "logout",
            Self::Products => "products",
            Self::Order(_) => "order",
            Self::Orders => "orders",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// The arguments of `/login`.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) email: Email,
    pub(crate) password: SecretString,
}

/// Why `/login` was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum LoginError {
    #[error("the e-mail address or the password is missing")]
    Incomplete,
    #[error("this is not an e-mail address")]
    Email,
}

/// Why the lines of an order were not understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum OrderError {
    #[error("there are no lines")]
    Empty,
    #[error("`{0}` is not product:quantity")]
    Malformed(String),
    #[error("the quantity of {0} is not 1 to {most}", most = Limits::ORDER.of_one)]
    Quantity(ProductId),
    #[error("there are more than {most} different products", most = Limits::ORDER.products)]
    TooManyLines,
}

impl From<Unfit> for OrderError {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::TooManyProducts { .. } => Self::TooManyLines,
            // Drafts have no prices that could contradict each other.
            Unfit::Quantity { product_id, .. } | Unfit::ContradictoryPrices { product_id } => {
                Self::Quantity(product_id)
            }
        }
    }
}

/// A command, and the bot that it is addressed to: in a group, `/help@other_bot` is for another bot.
#[derive(Debug)]
pub(crate) struct Addressed {
    pub(crate) command: Command,
    /// The bot named after the `@`, without it.
    pub(crate) bot: Option<String>,
}

/// Reads a message; `None` if it is not a command.
pub(crate) fn parse(text: &str) -> Option<Addressed> {
    let rest = text.trim_start().strip_prefix('/')?;
    let (word, arguments) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let (name, bot) = match word.split_once('@') {
        Some((name, bot)) => (name, Some(bot.to_owned())),
        None => (word, None),
    };
    let command = match name.to_lowercase().as_str() {
        "start" => Command::Start,
        "help" => Command::Help,
        "login" => Command::Login(credentials(arguments)),
        "logout" => Command::Logout,
        "products" => Command::Products,
        "order" => Command::Order(arguments.parse()),
        "orders" => Command::Orders,
        _ => Command::Unknown(name.to_owned()),
    };
    Some(Addressed { command, bot })
}

/// The address is one word. The password is the rest of the line, because a password may contain spaces, also at its ends.
fn credentials(arguments: &str) -> Result<Credentials, LoginError> {
    let (email, rest) =
        arguments.trim_start().split_once(char::is_whitespace).ok_or(LoginError::Incomplete)?;
    let password = rest.lines().next().unwrap_or_default();
    if password.trim().is_empty() {
        return Err(LoginError::Incomplete);
    }
    let email = email.parse().map_err(|_| LoginError::Email)?;
    Ok(Credentials { email, password: SecretString::from(password.to_owned()) })
}

/// An order that is being put together, within [`Limits::ORDER`].
///
/// Written and read as the specification has it: `1:2,2:1`; a bare `1` is `1:1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Draft(Basket);

impl Default for Draft {
    fn default() -> Self {
        Self(Basket::new(Limits::ORDER))
    }
}

impl Draft {
    /// The lines, in the order in which the products were first named.
    pub(crate) fn lines(&self) -> &[Line] {
        self.0.lines()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The products.
    pub(crate) fn product_ids(&self) -> Vec<ProductId> {
        self.0.product_ids()
    }

    /// This draft with `quantity` more of a product.
    pub(crate) fn with(mut self, product_id: ProductId, quantity: u32) -> Result<Self, OrderError> {
        self.0.add(Line { product_id, quantity, price: None })?;
        Ok(self)
    }
}

impl fmt::Display for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Line { product_id: product, quantity, .. }) in self.lines().iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match quantity {
                1 => write!(f, "{comma}{product}")?,
                quantity => write!(f, "{comma}{product}:{quantity}")?,
            }
        }
        Ok(())
    }
}

impl std::str::FromStr for Draft {
    type Err = OrderError;

    fn from_str(text: &str) -> Result<Self, OrderError> {
        if text.trim().is_empty() {
            return Err(OrderError::Empty);
        }
        text.split(',').map(str::trim).try_fold(Self::default(), |draft, part| {
            let malformed = || OrderError::Malformed(part.to_owned());
            let (product, quantity) = part.split_once(':').unwrap_or((part, "1"));
            let product = digits(product).map(ProductId).filter(|id| id.0 > 0).ok_or_else(malformed)?;
            let quantity = digits(quantity).ok_or_else(malformed)?;
            let quantity = u32::try_from(quantity).map_err(|_| OrderError::Quantity(product))?;
            draft.with(product, quantity)
        })
    }
}

/// Reads digits only: `parse` would accept `+1` too. `None` for a number that is too large for an id.
fn digits(text: &str) -> Option<i64> {
    let text = text.trim();
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shop_runtime::config::ExposeSecret as _;

    use super::*;

    fn draft(text: &str) -> Result<String, OrderError> {
        text.parse::<Draft>().map(|draft| {
            let lines = draft.lines().iter().map(|line| format!("{}:{}", line.product_id, line.quantity));
            lines.collect::<Vec<_>>().join(",")
        })
    }

    fn command(text: &str) -> Command {
        parse(text).unwrap().command
    }

    #[test]
    fn the_specifications_order_is_understood() {
        assert_eq!(draft("1:2,2:1").unwrap(), "1:2,2:1");
        assert_eq!(draft(" 1 : 2 ,\n2 ").unwrap(), "1:2,2:1");
    }

    #[test]
    fn a_bare_product_is_one_and_duplicates_merge() {
        assert_eq!(draft("7").unwrap(), "7:1");
        assert_eq!(draft("2:1,1,2:3").unwrap(), "2:4,1:1");
    }

    #[test]
    fn what_is_wrong_with_an_order_is_named() {
        assert_eq!(draft("  "), Err(OrderError::Empty));
        for part in
            ["x", "1:", ":1", "1:2:3", "-1", "+1", "1:-2", "0:1", "1.5", "99999999999999999999", "1 2"]
        {
            assert_eq!(draft(part), Err(OrderError::Malformed(part.to_owned())), "{part}");
        }
        assert_eq!(draft("1:2,,2"), Err(OrderError::Malformed(String::new())));
        for part in ["3:0", "3:1001", "3:99999999999"] {
            assert_eq!(draft(part), Err(OrderError::Quantity(ProductId(3))), "{part}");
        }
        assert_eq!(draft("3:600,3:600"), Err(OrderError::Quantity(ProductId(3))), "the sum counts");
        let many: Vec<String> = (1..=51).map(|id| id.to_string()).collect();
        assert_eq!(draft(&many.join(",")), Err(OrderError::TooManyLines));
    }

    #[test]
    fn a_password_may_have_spaces_and_is_not_in_debug() {
        for (text, password) in [
            ("/login User@Example.com correct horse", "correct horse"),
            ("/login User@Example.com  correct horse  ", " correct horse  "),
            ("  /login   User@Example.com\tcorrect horse\nthanks", "correct horse"),
            ("/login User@Example.com\ncorrect horse\r\n", "correct horse"),
            ("/login User@Example.com \u{a0}correct horse\u{3000}", "\u{a0}correct horse\u{3000}"),
        ] {
            let Command::Login(Ok(credentials)) = command(text) else { panic!("{text} is a complete login") };
            assert_eq!(credentials.email.as_str(), "user@example.com");
            assert_eq!(credentials.password.expose_secret(), password);
            assert!(!format!("{credentials:?}").contains("horse"));
        }
    }

    #[test]
    fn an_incomplete_login_says_what_is_missing() {
        let error = |text| match command(text) {
            Command::Login(Err(error)) => error,
            command => panic!("{command:?}"),
        };
        assert_eq!(error("/login"), LoginError::Incomplete);
        assert_eq!(error("/login user@example.com"), LoginError::Incomplete);
        assert_eq!(error("/login user@example.com  \t "), LoginError::Incomplete);
        assert_eq!(error("/login user password123"), LoginError::Email);
    }

    #[test]
    fn commands_are_known_in_any_case_and_for_whom_they_are() {
        assert!(matches!(command("/START now"), Command::Start));
        assert!(matches!(command("/help\nplease"), Command::Help));
        let addressed = parse("/products@shop_bot").unwrap();
        assert!(matches!(addressed.command, Command::Products));
        assert_eq!(addressed.bot.as_deref(), Some("shop_bot"));
        assert!(matches!(command("/dance"), Command::Unknown(name) if name == "dance"));
        assert!(matches!(command("/"), Command::Unknown(name) if name.is_empty()));
        assert!(parse("hello /start").is_none());
    }

    proptest! {
        #[test]
        fn a_draft_survives_being_written(lines in prop::collection::vec((1_i64.., 1..=Limits::ORDER.of_one), 1..20)) {
            let draft = lines.into_iter().try_fold(Draft::default(), |draft, (id, quantity)| {
                draft.with(ProductId(id), quantity)
            });
            if let Ok(draft) = draft {
                prop_assert_eq!(draft.to_string().parse::<Draft>(), Ok(draft));
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,200}") {
            let _ = parse(&text);
            let _ = text.parse::<Draft>();
        }
    }
}
