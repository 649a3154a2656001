//! A node that serves nothing, and runs tasks for those that do.

use std::io::Write;

use engine::Slots;

use crate::backend::Backend;
use crate::config::Config;
use crate::serve_error::ServeError;

/// Works until `stop` is over. Then no more tasks are started, and those that run get their time.
pub(crate) async fn work(config: Config, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
    let engine = Backend::open(&config).await?.start(&config).await?;
    let node = &config.engine.node;
    // Whoever closed standard output does not want to know.
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
