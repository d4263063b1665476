//! HTTP as every service speaks it: the server and its layers, problems, extractors.

mod activity;
mod api;
mod config;
mod connections;
pub mod cursor;
mod documented;
mod exchange;
mod extract;
mod leftover;
mod listen;
pub(crate) mod origin;
mod pages;
mod peer;
mod places;
mod problem;
mod refusal;
mod server;
mod slashes;
mod stream;
mod validity;

pub use api::{ApiDoc, CommonParts, Routes};
pub use config::HttpConfig;
pub use connections::{bind_and_serve, serve};
pub use documented::{Documented, Problems};
pub use extract::{Form, Json, Path, Query};
pub use peer::{FORWARDED_FOR, Peer};
pub use problem::Problem;
pub use server::{Limits, Routers, router};
