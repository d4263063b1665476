//! Seals on data that is stored or sent where others can read or write it.
//!
//! A [`Seal`] shows that data is ours; everybody can read it. An [`Envelope`] also hides it.

mod envelope;
mod link;
mod mac;

pub use self::{
    envelope::{Envelope, Unsealable},
    link::LinkConfig,
    mac::Seal,
};
