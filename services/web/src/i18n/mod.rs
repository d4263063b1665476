//! Russian and English: which one a visitor reads, every text of the storefront, and how numbers and dates look.
//!
//! Names and descriptions of products come from the catalog and are shown as they are.

mod format;
mod negotiate;
mod texts;

pub(crate) use negotiate::negotiate;
pub(crate) use texts::Texts;
