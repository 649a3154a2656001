//! The state of the connection, and missing permissions of its account.
//!
//! Without a connection the client queues requests, and the server does not answer requests that it does not permit. In both cases the
//! request itself gets no error; this module detects them.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Event, ServerError};
use tokio::select;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::calls::unavailable;
use super::names::Names;
use crate::journal::JournalError;

/// How long requests wait for a lost connection. The client usually reconnects sooner, to another server of the cluster.
const RECONNECT_TIME: Duration = Duration::from_secs(3);

/// How long a request may still be answered after a permission was denied that it may need.
const ANSWER_TIME: Duration = Duration::from_millis(500);

/// How often missing permissions are logged.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// The state of a connection. Cheap to clone.
#[derive(Clone)]
pub(super) struct Link {
    names: Names,
    state: watch::Sender<State>,
}

#[derive(Default)]
struct State {
    /// When the connection was lost, if it is lost.
    lost_at: Option<Instant>,
    /// The number of denied permissions of the journal, and the last message about one.
    denials: u64,
    denied: Arc<str>,
    logged_at: Option<Instant>,
    /// Why nothing can be stored although there is a connection.
    problem: Option<String>,
    /// Why the last message was refused.
    refusal: Option<String>,
}

impl Link {
    pub(super) fn new(names: Names) -> Self {
        Self { names, state: watch::Sender::default() }
    }

    /// Handles an event of the client.
    pub(super) fn observe(&self, event: &Event) {
        match event {
            Event::Connected => match self.set_lost(None) {
                Some(lost_at) => {
                    let seconds = lost_at.elapsed().as_secs();
                    tracing::info!(seconds, "the connection to NATS is back");
                }
                None => tracing::debug!("connected to a NATS server"),
            },
            Event::Disconnected => {
                let now = Instant::now();
                if self.set_lost(Some(now)).is_none() {
                    tracing::warn!("the connection to NATS is lost; connecting again");
                }
            }
            Event::LameDuckMode => tracing::info!("the NATS server is about to stop; moving to another one"),
            Event::ServerError(ServerError::Other(text)) if is_violation(text) => self.deny(text),
            other => tracing::warn!(event = %other, "NATS"),
        }
    }

    /// Returns when the connection had been lost before, if it had.
    fn set_lost(&self, lost_at: Option<Instant>) -> Option<Instant> {
        let mut before = None;
        self.state.send_modify(|state| {
            before = state.lost_at;
            state.lost_at = lost_at.map(|now| before.unwrap_or(now));
        });
        before
    }

    fn deny(&self, text: &str) {
        let concerns_journal = self.names.are_of_the_journal(text);
        self.state.send_modify(|state| {
            if concerns_journal {
                state.denials += 1;
                state.denied = text.into();
            }
            if state.logged_at.is_none_or(|logged_at| logged_at.elapsed() > LOG_INTERVAL) {
                state.logged_at = Some(Instant::now());
                tracing::error!(reason = text, "NATS does not permit what this node has to do");
            }
        });
    }

    /// Sets or clears the reason why nothing can be stored although there is a connection.
    pub(super) fn set_problem(&self, problem: Option<String>) {
        self.state.send_if_modified(|state| {
            let is_new = state.problem != problem;
            state.problem = problem;
            is_new
        });
    }

    /// Records whether a message was stored.
    pub(super) fn note_stored<T>(&self, stored: &Result<T, JournalError>) {
        let refusal = match stored {
            Ok(_) => None,
            Err(JournalError::Refused(reason)) => Some(reason.clone()),
            Err(_) => return,
        };
        self.state.send_if_modified(|state| {
            match (&state.refusal, &refusal) {
                (None, Some(reason)) => tracing::error!(reason, "NATS refuses to store messages"),
                (Some(_), None) => tracing::info!("NATS stores messages again"),
                _ => {}
            }
            let is_new = state.refusal.is_some() != refusal.is_some();
            state.refusal = refusal;
            is_new
        });
    }

    /// Whether the last message was refused.
    pub(super) fn is_refused(&self) -> bool {
        self.state.borrow().refusal.is_some()
    }

    /// Returns an error if nothing can be stored at this moment, according to the last events.
    pub(super) fn check(&self) -> Result<(), JournalError> {
        let state = self.state.borrow();
        match (&state.lost_at, &state.refusal, &state.problem) {
            (Some(lost_at), _, _) => Err(lost(*lost_at)),
            (None, Some(refusal), _) => Err(JournalError::Refused(refusal.clone())),
            (None, None, Some(problem)) => Err(JournalError::Unavailable(problem.clone())),
            (None, None, None) => Ok(()),
        }
    }

    /// Waits until the connection is lost and established again.
    pub(super) async fn reconnected(&self) {
        let mut state = self.state.subscribe();
        // `self` holds the sender, so this cannot fail.
        let _ = state.wait_for(|state| state.lost_at.is_some()).await;
        let _ = state.wait_for(|state| state.lost_at.is_none()).await;
    }

    /// Makes a call. It fails early if there is no connection, or if a permission was denied in the meantime.
    pub(super) fn guard<T, E: From<JournalError>>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> impl Future<Output = Result<T, E>> {
        // Boxed, because calls consist of many requests and their futures are large.
        let call = Box::pin(call);
        async move {
            let denials = self.state.borrow().denials;
            select! {
                biased;
                error = self.lost() => Err(error.into()),
                answer = call => answer,
                error = self.denied_since(denials) => Err(error.into()),
            }
        }
    }

    /// Returns once the connection has been lost for [`RECONNECT_TIME`].
    async fn lost(&self) -> JournalError {
        let mut state = self.state.subscribe();
        loop {
            let lost_at = state.borrow_and_update().lost_at;
            match lost_at {
                Some(at) => select! {
                    () = sleep_until(at + RECONNECT_TIME) => return lost(at),
                    _ = state.changed() => {}
                },
                None => drop(state.changed().await),
            }
        }
    }

    /// Returns [`ANSWER_TIME`] after a further permission was denied.
    async fn denied_since(&self, denials: u64) -> JournalError {
        let mut state = self.state.subscribe();
        // `self` holds the sender, so this cannot fail.
        let denied = state.wait_for(|state| state.denials > denials).await.map(|state| Arc::clone(&state.denied));
        sleep(ANSWER_TIME).await;
        refused(&denied.unwrap_or_default())
    }
}

fn lost(at: Instant) -> JournalError {
    let seconds = at.elapsed().as_secs();
    unavailable(format!("there has been no connection for {seconds} s. Nothing can be stored or read until it is back"))
}

fn refused(text: &str) -> JournalError {
    JournalError::Refused(format!("NATS: {text}. The account of this node needs that permission"))
}

fn is_violation(text: &str) -> bool {
    text.to_ascii_lowercase().starts_with("permissions violation")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link {
        Link::new(Names::default())
    }

    async fn answer<T>(answer: T) -> Result<T, JournalError> {
        sleep(Duration::from_millis(100)).await;
        Ok(answer)
    }

    #[tokio::test(start_paused = true)]
    async fn calls_fail_after_three_seconds_without_a_connection_and_then_at_once() {
        let link = link();
        link.observe(&Event::Disconnected);
        assert!(link.check().is_err());
        let started = Instant::now();
        let error = link.guard(std::future::pending::<Result<(), _>>()).await.expect_err("no connection");
        assert_eq!(started.elapsed(), RECONNECT_TIME);
        assert!(matches!(error, JournalError::Unavailable(_)), "{error}");
        assert!(error.to_string().contains("no connection for 3 s"), "{error}");
        let started = Instant::now();
        // A second report of the same loss changes nothing.
        link.observe(&Event::Disconnected);
        assert!(link.guard(answer(1)).await.is_err());
        assert_eq!(started.elapsed(), Duration::ZERO);
        link.observe(&Event::Connected);
        assert!(link.check().is_ok());
        assert_eq!(link.guard(answer(1)).await.expect("connected"), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_not_permitted_is_refused_and_others_are_answered() {
        let link = link();
        let deny = |subject: &str| {
            let text = format!("Permissions Violation for Publish to \"{subject}\"");
            link.observe(&Event::ServerError(ServerError::Other(text)));
        };
        let call = async {
            deny("quilt.nodes");
            answer(1).await
        };
        assert_eq!(link.guard(call).await.expect("another part is not permitted"), 1);
        let call = async {
            deny("quilt.journal.x");
            std::future::pending().await
        };
        let error = link.guard::<(), JournalError>(call).await.expect_err("it is not permitted");
        assert!(matches!(&error, JournalError::Refused(reason) if reason.contains("quilt.journal.x")), "{error}");
        // A call that gets an answer was permitted.
        let call = async {
            deny("$KV.quilt-batches.x");
            answer(1).await
        };
        assert_eq!(link.guard(call).await.expect("answered"), 1);
    }
}
