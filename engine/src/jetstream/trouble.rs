//! What errors mean, and how long calls go on trying.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::journal::JournalError;

/// How long a call goes on trying. A cluster that loses a server has another leader sooner.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause between two tries.
pub(super) const PAUSE: Duration = Duration::from_millis(250);

/// Nearly everything that can be wrong with a call may be over when it is made again.
pub(super) fn unavailable(error: impl Display) -> JournalError {
    JournalError::Unavailable(format!("NATS: {error}"))
}

/// Makes a call again while it is answered with [`JournalError::Unavailable`], for some time. It has to be one that changes nothing when it is
/// made twice.
pub(super) async fn keep_trying<T, F>(mut call: impl FnMut() -> F) -> Result<T, JournalError>
where
    F: Future<Output = Result<T, JournalError>>,
{
    let started = Instant::now();
    loop {
        match call().await {
            Err(JournalError::Unavailable(reason)) if started.elapsed() < PATIENCE => {
                tracing::debug!(reason, "trying again");
                sleep(PAUSE).await;
            }
            answer => return answer,
        }
    }
}
