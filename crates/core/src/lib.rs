//! The shop's vocabulary: ids, money, languages, baskets, the order's status and the contracts of its events.
//!
//! Nothing here does I/O or uses a framework, so every service and every test can use it.
#![warn(missing_docs)]

pub mod basket;
mod clock;
mod currency;
mod email;
pub mod events;
mod id;
mod language;
mod money;
mod order_status;
pub mod password;
pub mod text;

pub use basket::Basket;
pub use clock::Clock;
pub use currency::{Currency, InvalidCurrency};
pub use email::{Email, InvalidEmail};
pub use id::{OrderId, PaymentId, ProductId, UserId};
pub use language::Language;
pub use money::{InvalidMoney, Money};
pub use order_status::OrderStatus;
