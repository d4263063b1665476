//! HTTP as every service speaks it: the server and its layers, problems, extractors.

mod connections;
mod documented;
mod extract;
mod pages;
mod problem;
mod server;

pub use connections::{bind_and_serve, serve};
pub use documented::{Problems, Responses};
pub use extract::{Form, Json, Path, Query};
pub use problem::{Problem, ProblemBody};
pub use server::{ApiDoc, Limits, router};
