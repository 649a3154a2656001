//! Retries calls until the storage is available.

use std::time::Duration;

use super::error::JournalError;

/// The pause before a retry.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Retries a call while the journal is not available. A refusal is logged once and retried as well, so that results are not lost before an
/// operator has corrected the cause.
///
/// # Errors
///
/// Any other error of the call.
pub(crate) async fn retry_while_unavailable<T, F>(mut ask: impl FnMut() -> F) -> Result<T, JournalError>
where
    F: Future<Output = Result<T, JournalError>>,
{
    let mut is_logged = false;
    loop {
        match ask().await {
            Err(JournalError::Unavailable(reason)) => {
                tracing::debug!(reason, "the journal is not available; trying again");
            }
            Err(JournalError::Refused(reason)) => {
                if !std::mem::replace(&mut is_logged, true) {
                    tracing::error!(
                        reason,
                        "the journal refuses something that has to be stored; trying again until it does not"
                    );
                }
            }
            answer => return answer,
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}
