//! `quilt work`: a node that runs tasks for the servers of its cluster, and serves no requests.

use std::io::Write;

use engine::Slots;

use crate::backend::Backend;
use crate::config::Config;
use crate::serve_error::ServeError;

/// Runs tasks until `stop` completes. Then it starts no more tasks, and running ones have `grace` to end.
pub(crate) async fn work(config: Config, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
    let engine = Backend::open(&config).await?.start(&config).await?;
    let node = &config.engine.node;
    // An error means that standard output is closed, which is allowed.
    let Slots { async_, compute, process } = node.slots;
    let _ = writeln!(
        std::io::stdout(),
        "Quilt works here as {}, with slots for {async_} tasks that wait, {compute} that compute and {process} processes",
        node.name
    );
    stop.await;
    tracing::info!("stopping");
    if tokio::time::timeout(config.grace + crate::server::SHUTDOWN_TIMEOUT, engine.shutdown(config.grace))
        .await
        .is_err()
    {
        tracing::warn!("NATS does not answer; what it did not acknowledge is run again elsewhere");
    }
    tracing::info!("stopped");
    Ok(())
}
