//! Calls that are made again until the storage is back.

use std::time::Duration;

use super::error::JournalError;

/// How long to wait before a journal that is not available is asked again.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Asks the journal again and again while it is not available. A refusal is logged and tried again as well: what has been done must not be lost
/// before somebody has corrected the reason.
///
/// # Errors
///
/// Whatever else it answers with.
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
