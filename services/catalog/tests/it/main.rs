//! The catalog over HTTP: the same cases on SQLite with cache and bus in memory, and on PostgreSQL with Redis and RabbitMQ.
#![expect(clippy::unwrap_used, reason = "a test ends where it is wrong")]

mod books;
mod endpoints;
mod events;
mod faults;
mod hostile;
mod replicas;
mod shop;
mod stock;
mod untrusted;

/// Turns each case into a test on the embedded backends, and one on the real ones.
#[macro_export]
macro_rules! on_both_backends {
    ($($case:ident),+ $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case($crate::shop::Shop::embedded().await).await;
            })+
        }

        mod real {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let Some(shop) = $crate::shop::Shop::real().await else { return };
                super::$case(shop).await;
            })+
        }
    };
}
