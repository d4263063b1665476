//! The events' contracts: what was ever published stays readable, what is published today is what docs/events describes.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails; clippy knows only `#[test]` functions"
)]

mod files;
mod forms;
mod schemas;
