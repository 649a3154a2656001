//! Deletes streams of version 0.1.0, which distributed work through streams that are no longer read.

use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::{Context, ErrorCode};

use super::calls::{failed, with_timeout};
use super::error::ConnectError;

/// The stream of work. Its consumer reveals whether a node of 0.1.0 is waiting for work.
const WORK: &str = "quilt-leases";

/// The name of that consumer.
const WORKERS: &str = "workers";

/// The streams that only 0.1.0 uses. None of them contains data of batches.
const UNUSED: [&str; 4] = ["quilt-cuts", "KV_quilt-started", "KV_quilt-keepers", WORK];

/// Deletes the streams of 0.1.0, once.
///
/// # Errors
///
/// [`ConnectError::OldNodes`] while a node of 0.1.0 is running, because both versions would run the same tasks.
pub(super) async fn delete_unused(context: &Context) -> Result<(), ConnectError> {
    let stream = match context.get_stream(WORK).await {
        Ok(stream) => stream,
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => return Ok(()),
            _ => return Err(failed(error).into()),
        },
    };
    if stream.consumer_info(WORKERS).await.is_ok_and(|info| info.num_waiting > 0) {
        return Err(ConnectError::OldNodes);
    }
    for name in UNUSED {
        // Another node may have deleted it.
        if let Err(error) = with_timeout(context.delete_stream(name)).await {
            tracing::debug!(name, %error, "a stream of version 0.1.0 could not be deleted");
        }
    }
    tracing::info!("deleted what version 0.1.0 has left on the NATS server");
    Ok(())
}
