//! What customers are told, and about which orders. Knows neither mails nor tables.

mod channel;
mod known_order;
mod news;
mod notice;

pub(crate) use self::{
    channel::Channel,
    known_order::KnownOrder,
    news::{News, Newsworthy},
    notice::{Links, Notice},
};
