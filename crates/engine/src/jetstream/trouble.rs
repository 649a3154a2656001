//! What errors mean, and how long calls go on trying.

use std::fmt::Display;
use std::time::Duration;

use futures::TryFutureExt;
use tokio::time::{Instant, sleep, timeout};

use crate::journal::JournalError;

/// How long a call goes on trying. A cluster that loses a server has another leader sooner.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long one try may take. Without a connection the client keeps calls for later, and later nobody knows what became of them.
const TRY: Duration = Duration::from_secs(5);

/// The pause between two tries.
pub(super) const PAUSE: Duration = Duration::from_millis(250);

/// Nearly everything that can be wrong with a call may be over when it is made again.
pub(super) fn unavailable(error: impl Display) -> JournalError {
    JournalError::Unavailable(format!("NATS: {error}"))
}

/// Makes a call, and does not wait for its answer for ever.
pub(super) async fn in_time<T, E: Display>(call: impl Future<Output = Result<T, E>>) -> Result<T, JournalError> {
    match timeout(TRY, call).await {
        Ok(answer) => answer.map_err(unavailable),
        Err(_) => Err(unavailable("there is no answer")),
    }
}

/// Makes a call again while it is answered with [`JournalError::Unavailable`], for some time. It has to be one that changes nothing when it is
/// made twice.
pub(super) async fn keep_trying<T, F>(mut call: impl FnMut() -> F) -> Result<T, JournalError>
where
    F: Future<Output = Result<T, JournalError>>,
{
    let started = Instant::now();
    loop {
        let answer = timeout(TRY, call()).await.unwrap_or_else(|_| Err(unavailable("there is no answer")));
        match answer {
            Err(JournalError::Unavailable(reason)) if started.elapsed() < PATIENCE => {
                tracing::debug!(reason, "trying again");
                sleep(PAUSE).await;
            }
            answer => return answer,
        }
    }
}

/// Makes a call again and again until it is answered.
pub(super) async fn insist<T, E, F>(mut call: impl FnMut() -> F) -> T
where
    E: Display,
    F: Future<Output = Result<T, E>>,
{
    let mut is_told = false;
    loop {
        match keep_trying(|| call().map_err(unavailable)).await {
            Ok(answer) => {
                if is_told {
                    tracing::info!("what NATS refused is done");
                }
                return answer;
            }
            // Once, and not every ten seconds: there are many who insist.
            Err(error) if !is_told => {
                tracing::warn!(%error, "NATS refuses something that has to be done; trying again");
                is_told = true;
            }
            Err(_) => {}
        }
    }
}
