//! The words of the shop: ids, money, the order's status and the contracts of its events.
//!
//! Nothing here does I/O or knows a framework, so every service and every test may use it.
#![warn(missing_docs)]

mod clock;
mod email;
pub mod events;
mod id;
mod money;
mod order_status;
pub mod password;
pub mod text;

pub use clock::Clock;
pub use email::{Email, InvalidEmail};
pub use id::{OrderId, ProductId, UserId};
pub use money::{InvalidMoney, Money};
pub use order_status::OrderStatus;
