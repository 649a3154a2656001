//! Checks the streams periodically, and creates them again if they have vanished, for example because NATS restarted with an empty disk.

use std::collections::HashSet;
use std::time::Duration;

use futures::TryStreamExt;
use tokio::select;
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::calls::{failed, retry, with_timeout};
use super::stores::Stores;
use crate::journal::JournalError;

/// How often the streams are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// A key that is written to check whether messages can be stored.
const PROBE_KEY: &str = "probe";

/// Checks the streams until it is dropped.
pub(super) struct Monitor {
    _task: AbortOnDropHandle<()>,
}

impl Monitor {
    pub(super) fn start(stores: Stores) -> Self {
        Self { _task: AbortOnDropHandle::new(tokio::spawn(run(stores))) }
    }
}

async fn run(stores: Stores) {
    let mut failing_since = None;
    loop {
        select! {
            () = sleep(CHECK_INTERVAL) => {}
            () = stores.link.reconnected() => {}
        }
        if !stores.is_connected() {
            continue;
        }
        let checked = stores.link.guard(check(&stores)).await;
        if stores.link.is_refused() {
            // There may be no other writes, because a load balancer sends no requests while this node is unhealthy.
            let stored =
                stores.link.guard(retry(|| async { stores.settings.put(PROBE_KEY, "".into()).await.map_err(failed) }));
            stores.link.note_stored(&stored.await);
        }
        let since = match (&checked, failing_since) {
            (Ok(()), _) => None,
            (Err(_), since) => since.or(Some(Instant::now())),
        };
        match (&checked, failing_since) {
            (Ok(()), Some(_)) => tracing::info!("NATS has all streams, and a leader, again"),
            (Err(error), None) => tracing::warn!(%error, "NATS does not have all streams, or no leader of them"),
            _ => {}
        }
        failing_since = since;
        let problem = checked.err().map(|error| match error {
            JournalError::Unavailable(reason) | JournalError::Refused(reason) => reason,
            error => error.to_string(),
        });
        stores.link.set_problem(problem);
    }
}

async fn check(stores: &Stores) -> Result<(), JournalError> {
    let known: HashSet<String> = with_timeout(stores.context.stream_names().try_collect()).await?;
    let missing: Vec<String> = stores.stream_names().into_iter().filter(|name| !known.contains(name)).collect();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        tracing::error!(missing, "streams have vanished from NATS, and with them what they had; making them again");
        with_timeout(stores.restore()).await?;
    }
    // The leader of the stream answers this. Without a leader nothing can be stored.
    with_timeout(stores.journal.get_info()).await.map(drop)
}
