//! What customers are told, and about which orders. Knows neither mails nor tables.

mod channel;
mod news;
mod notice;

pub(crate) use self::{
    channel::Channel,
    news::{News, Newsworthy},
    notice::{KnownOrder, Links, Notice},
};
