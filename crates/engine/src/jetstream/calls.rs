//! Maps errors, and retries calls.

use std::error::Error;
use std::fmt::Display;
use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::jetstream::context::{CreateStreamError, CreateStreamErrorKind, PublishError, PublishErrorKind};
use async_nats::jetstream::kv::{self, UpdateErrorKind};
use async_nats::jetstream::stream::{ConsumerError, ConsumerErrorKind};
use async_nats::jetstream::{self, ErrorCode};
use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};

use crate::journal::JournalError;

/// How long a call is retried. A cluster that loses a server elects another leader in less time.
pub(super) const RETRY_BUDGET: Duration = Duration::from_secs(10);

/// The timeout of one attempt. Without a connection the client queues calls, and their results are then unknown.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// The pause between two attempts.
pub(super) const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// Error codes for lack of space in the account, the stream or the server.
const NO_SPACE: [ErrorCode; 6] = [
    ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
    ErrorCode::INSUFFICIENT_RESOURCES,
    ErrorCode::MEMORY_RESOURCES_EXCEEDED,
    ErrorCode::STORAGE_RESOURCES_EXCEEDED,
    ErrorCode::STREAM_STORE_FAILED,
    ErrorCode::STREAM_MAX_STREAM_BYTES_EXCEEDED,
];

/// Error codes of other calls that will fail again.
const LIMITS: [ErrorCode; 7] = [
    ErrorCode::MAXIMUM_CONSUMERS_LIMIT,
    ErrorCode::MAXIMUM_STREAMS_LIMIT,
    ErrorCode::NO_LIMITS,
    ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM,
    ErrorCode::STREAM_LIMITS,
    ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM,
    ErrorCode::STREAM_SEALED,
];

/// Most errors are transient, so they map to [`JournalError::Unavailable`].
pub(super) fn unavailable(error: impl Display) -> JournalError {
    JournalError::Unavailable(format!("NATS: {error}"))
}

/// Maps an error of the client: to [`JournalError::Refused`] if the call will fail again, and to [`JournalError::Unavailable`] otherwise.
pub(super) fn failed(error: impl Error + 'static) -> JournalError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(known) = cause {
        if let Some(code) = code(known) {
            if NO_SPACE.contains(&code) {
                let reason = format!(
                    "NATS has no space left: {known}. Delete batches, or raise the limits of the account or server"
                );
                return JournalError::Refused(reason);
            }
            if LIMITS.contains(&code) {
                return JournalError::Refused(format!("NATS: {known}. Raise the limits of the account or server"));
            }
        }
        let publish = known.downcast_ref::<PublishError>().map(PublishError::kind);
        let request = known.downcast_ref::<async_nats::client::RequestError>().map(|error| error.kind());
        if publish == Some(PublishErrorKind::MaxPayloadExceeded)
            || request == Some(RequestErrorKind::MaxPayloadExceeded)
        {
            let reason = "NATS: a message is larger than max_payload of the server, which was lowered. Raise it, or restart this node";
            return JournalError::Refused(reason.into());
        }
        cause = known.source();
    }
    unavailable(error)
}

/// The error code of the server, if the error has one.
pub(super) fn code(error: &(dyn Error + 'static)) -> Option<ErrorCode> {
    if let Some(error) = error.downcast_ref::<jetstream::Error>() {
        return Some(error.error_code());
    }
    if let Some(CreateStreamErrorKind::JetStream(error)) =
        error.downcast_ref::<CreateStreamError>().map(CreateStreamError::kind)
    {
        return Some(error.error_code());
    }
    match error.downcast_ref::<ConsumerError>().map(ConsumerError::kind) {
        Some(ConsumerErrorKind::JetStream(error)) => Some(error.error_code()),
        _ => None,
    }
}

/// Makes a call with a timeout.
pub(super) async fn with_timeout<T, E: Display>(call: impl Future<Output = Result<T, E>>) -> Result<T, JournalError> {
    match timeout(ATTEMPT_TIMEOUT, call).await {
        Ok(answer) => answer.map_err(unavailable),
        Err(_) => Err(unavailable("there is no answer")),
    }
}

/// Retries a call while it returns [`JournalError::Unavailable`], for a limited time. The call must be idempotent.
pub(super) async fn retry<T, F>(mut call: impl FnMut() -> F) -> Result<T, JournalError>
where
    F: Future<Output = Result<T, JournalError>>,
{
    let started = Instant::now();
    loop {
        let answer = timeout(ATTEMPT_TIMEOUT, call()).await.unwrap_or_else(|_| Err(unavailable("there is no answer")));
        match answer {
            Err(JournalError::Unavailable(reason)) if started.elapsed() < RETRY_BUDGET => {
                tracing::debug!(reason, "trying again");
                sleep(RETRY_PAUSE).await;
            }
            answer => return answer,
        }
    }
}

/// Writes a key of a bucket if its revision is still the given one. Returns the new revision; `None` if somebody has written it since.
pub(super) async fn update(
    bucket: &kv::Store,
    key: &str,
    value: Bytes,
    revision: u64,
) -> Result<Option<u64>, kv::UpdateError> {
    match bucket.update(key, value, revision).await {
        Ok(revision) => Ok(Some(revision)),
        Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => Ok(None),
        Err(error) => Err(error),
    }
}
