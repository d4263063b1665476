//! The clients with a real, small HTTP server.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod answers;
mod calls;
mod life;
mod managing;
mod repeats;
mod server;
