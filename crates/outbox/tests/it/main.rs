//! The publisher against real databases and brokers: what it promises, and what it survives.
#![expect(clippy::unwrap_used, reason = "a test that fails may panic; clippy knows only `#[test]` functions")]
#![expect(clippy::disallowed_methods, reason = "a test ends its own tasks")]

/// Each test on the embedded backends and on the real ones.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::support::Fixture::embedded().await).await;
            })*
        }
        mod real {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let Some(fixture) = crate::support::Fixture::real().await else { return };
                super::$name(fixture).await;
            })*
        }
    };
}

mod consumer;
mod faults;
mod inbox;
mod model;
mod operate;
mod promises;
mod support;
