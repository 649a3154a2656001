//! What errors mean, and how long calls go on trying.

use std::error::Error;
use std::fmt::Display;
use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::jetstream::context::{CreateStreamError, CreateStreamErrorKind, PublishError, PublishErrorKind};
use async_nats::jetstream::stream::{ConsumerError, ConsumerErrorKind};
use async_nats::jetstream::{self, ErrorCode};
use tokio::time::{Instant, sleep, timeout};

use crate::journal::JournalError;

/// How long a call goes on trying. A cluster that loses a server has another leader sooner.
pub(super) const RETRY_BUDGET: Duration = Duration::from_secs(10);

/// How long one try may take. Without a connection the client keeps calls for later, and later nobody knows what became of them.
const TRY: Duration = Duration::from_secs(5);

/// The pause between two tries.
pub(super) const PAUSE: Duration = Duration::from_millis(250);

/// What the server answers if there is no space left for the account, the stream or the server.
const NO_SPACE: [ErrorCode; 6] = [
    ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
    ErrorCode::INSUFFICIENT_RESOURCES,
    ErrorCode::MEMORY_RESOURCES_EXCEEDED,
    ErrorCode::STORAGE_RESOURCES_EXCEEDED,
    ErrorCode::STREAM_STORE_FAILED,
    ErrorCode::STREAM_MAX_STREAM_BYTES_EXCEEDED,
];

/// What else the server answers to a call that it will refuse again.
const LIMITS: [ErrorCode; 7] = [
    ErrorCode::MAXIMUM_CONSUMERS_LIMIT,
    ErrorCode::MAXIMUM_STREAMS_LIMIT,
    ErrorCode::NO_LIMITS,
    ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM,
    ErrorCode::STREAM_LIMITS,
    ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM,
    ErrorCode::STREAM_SEALED,
];

/// Nearly everything that can be wrong with a call may be over when it is made again.
pub(super) fn unavailable(error: impl Display) -> JournalError {
    JournalError::Unavailable(format!("NATS: {error}"))
}

/// An error of the client: [`JournalError::Refused`] if the call will fail again, else [`JournalError::Unavailable`].
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

/// The code of the server's error, if this is one.
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

/// Makes a call, and does not wait for its answer for ever.
pub(super) async fn with_timeout<T, E: Display>(call: impl Future<Output = Result<T, E>>) -> Result<T, JournalError> {
    match timeout(TRY, call).await {
        Ok(answer) => answer.map_err(unavailable),
        Err(_) => Err(unavailable("there is no answer")),
    }
}

/// Makes a call again while it is answered with [`JournalError::Unavailable`], for some time. It has to be one that changes nothing when it is
/// made twice.
pub(super) async fn retry<T, F>(mut call: impl FnMut() -> F) -> Result<T, JournalError>
where
    F: Future<Output = Result<T, JournalError>>,
{
    let started = Instant::now();
    loop {
        let answer = timeout(TRY, call()).await.unwrap_or_else(|_| Err(unavailable("there is no answer")));
        match answer {
            Err(JournalError::Unavailable(reason)) if started.elapsed() < RETRY_BUDGET => {
                tracing::debug!(reason, "trying again");
                sleep(PAUSE).await;
            }
            answer => return answer,
        }
    }
}
