//! What the bot says, in English and in Russian, as Telegram's HTML. Pure: it is given what to say.
//!
//! Everything that comes from elsewhere (names, typed words) goes through [`reply::shown`], which escapes and shortens it.

mod orders;
mod phrases;
mod products;
mod reply;

pub(crate) use self::{
    orders::{ask_cancel, orders, receipt},
    phrases::*,
    products::{Priced, products},
    reply::Reply,
};
