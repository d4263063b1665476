//! Cleanup in `Drop`, which cannot await on the test's runtime.

use std::{future::Future, time::Duration};

/// Runs `work` to its end on a thread and runtime of its own. Waits for it, because a test process may end right after.
pub(crate) fn teardown(what: &str, work: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
    let outcome = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), work).await? })
    })
    .join();
    // A failed teardown is reported, but must not hide why the test itself failed.
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(error)) => eprintln!("{what} was left behind: {error:#}"),
        Err(_) => eprintln!("{what} was left behind: the teardown panicked"),
    }
}
