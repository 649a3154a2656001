//! One consumer of the journal stream per node. It forwards messages to the followers of batches on this node.
//!
//! With one consumer per batch, the state that NATS has to store, and to move after a crash, would grow with the number of open batches.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::Info;
use time::OffsetDateTime;
use tokio::select;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, interval_at, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::calls::{RETRY_BUDGET, RETRY_PAUSE, unavailable, with_timeout};
use super::read::{Reader, next_message};
use super::stores::Stores;
use crate::journal::JournalError;

/// Maximum size of a follower's queue in bytes. A follower that is further behind reads from the stream itself.
const MAX_QUEUED: usize = 4 << 20;

/// The size of a message apart from its payload, in bytes.
const MESSAGE_OVERHEAD: usize = 512;

/// Maximum number of messages that a follower receives at once.
const MAX_RECEIVED: usize = 64;

/// How often the feed checks its position against the stream.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// How long the stream may end before the position of the feed until it counts as a different stream. A new leader may be behind for a
/// moment.
const BEHIND_TIME: Duration = Duration::from_secs(20);

/// The position of the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    /// Counts streams: a stream that vanished and was created again restarts its sequence numbers.
    pub(super) epoch: u64,
    /// The sequence number of the last forwarded message.
    pub(super) sequence: u64,
}

/// Reads the journal stream from the first subscription until it is dropped.
pub(super) struct Feed {
    stores: Stores,
    shared: Arc<Shared>,
    task: OnceLock<AbortOnDropHandle<()>>,
}

impl Feed {
    pub(super) fn new(stores: Stores) -> Self {
        Self { stores, shared: Arc::default(), task: OnceLock::new() }
    }

    /// Subscribes to all messages of a subject after the start position of the subscription.
    ///
    /// # Errors
    ///
    /// [`JournalError::Unavailable`] if the stream stays unreadable for several seconds.
    pub(super) async fn subscribe(&self, subject: String) -> Result<Subscription, JournalError> {
        self.task.get_or_init(|| {
            let (shared, stores) = (Arc::clone(&self.shared), self.stores.clone());
            AbortOnDropHandle::new(tokio::spawn(async move { shared.run(&stores).await }))
        });
        let mut is_ready = self.shared.is_ready.subscribe();
        let ready = timeout(RETRY_BUDGET, is_ready.wait_for(|is_ready| *is_ready)).await;
        ready.map_err(|_| unavailable("the stream of events cannot be read"))?.map_err(unavailable)?;
        Ok(Shared::add(&self.shared, subject))
    }
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    is_ready: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    position: Option<Position>,
    /// The creation time of the current stream.
    created: Option<OffsetDateTime>,
    behind_since: Option<Instant>,
    subscribers: HashMap<String, Vec<Subscriber>>,
    next_id: u64,
}

struct Subscriber {
    id: u64,
    messages: mpsc::UnboundedSender<StreamMessage>,
    queued: Arc<AtomicUsize>,
}

impl Subscriber {
    /// Returns `false` if the subscriber is too far behind or has been dropped.
    fn send(&self, message: StreamMessage) -> bool {
        let size = size(&message);
        let queued = self.queued.fetch_add(size, Ordering::Relaxed) + size;
        // A single message may exceed the limit.
        (queued <= MAX_QUEUED || queued == size) && self.messages.send(message).is_ok()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(shared: &Arc<Self>, subject: String) -> Subscription {
        let (messages, receiver) = mpsc::unbounded_channel();
        let queued = Arc::<AtomicUsize>::default();
        let mut state = shared.state();
        let id = state.next_id;
        state.next_id += 1;
        let start = state.position.unwrap_or(Position { epoch: 0, sequence: 0 });
        let subscriber = Subscriber { id, messages, queued: Arc::clone(&queued) };
        state.subscribers.entry(subject.clone()).or_default().push(subscriber);
        drop(state);
        Subscription { start, messages: receiver, queued, subject, id, shared: Arc::clone(shared) }
    }

    async fn run(&self, stores: &Stores) {
        let mut is_logged = false;
        loop {
            let position = self.state().position;
            let Err(error) = self.read(stores).await;
            // If messages have been read since then, the logged failure has ended.
            is_logged &= self.state().position == position;
            if std::mem::replace(&mut is_logged, true) {
                tracing::debug!(%error, "reading the stream of events again");
            } else {
                tracing::warn!(%error, "cannot read the stream of events; trying again");
            }
            sleep(RETRY_PAUSE).await;
        }
    }

    /// Forwards messages until the consumer fails.
    async fn read(&self, stores: &Stores) -> Result<Infallible, JournalError> {
        let Position { epoch, sequence } = self.resume(&with_timeout(stores.journal.get_info()).await?)?;
        let (stream, subject) = (stores.names.stream("journal"), stores.names.journal("*"));
        let from = DeliverPolicy::ByStartSequence { start_sequence: sequence + 1 };
        let mut reader = Reader::new(&stores.context, &stream, subject.clone(), from).await?;
        self.is_ready.send_replace(true);
        let mut checks = interval_at(Instant::now() + CHECK_INTERVAL, CHECK_INTERVAL);
        let mut missing = None;
        loop {
            select! {
                messages = reader.next() => {
                    for message in messages? {
                        self.dispatch(&message);
                    }
                }
                _ = checks.tick() => {
                    let position = self.resume(&with_timeout(stores.journal.get_info()).await?)?;
                    if position.epoch != epoch {
                        return Err(unavailable("the stream of events was made anew"));
                    }
                    let next = next_message(&stores.journal, &subject, position.sequence + 1).await?;
                    let next = next.map(|next| next.sequence);
                    if next.is_some() && next == missing {
                        return Err(unavailable("a consumer is silent though there are messages"));
                    }
                    missing = next;
                }
            }
        }
    }

    /// The position at which to continue in a stream. If the stream was replaced, all subscribers are disconnected.
    fn resume(&self, info: &Info) -> Result<Position, JournalError> {
        let mut state = self.state();
        let last = info.state.last_sequence;
        let Some(position) = state.position else {
            let position = Position { epoch: 0, sequence: last };
            (state.position, state.created) = (Some(position), Some(info.created));
            return Ok(position);
        };
        if state.created == Some(info.created) {
            if last >= position.sequence {
                state.behind_since = None;
                return Ok(position);
            }
            if state.behind_since.get_or_insert_with(Instant::now).elapsed() < BEHIND_TIME {
                return Err(unavailable("the leader of the stream of events is behind"));
            }
        }
        tracing::warn!(last, known = position.sequence, "the stream of events was made anew or restored");
        let position = Position { epoch: position.epoch + 1, sequence: last };
        (state.position, state.created, state.behind_since) = (Some(position), Some(info.created), None);
        state.subscribers.clear();
        Ok(position)
    }

    fn dispatch(&self, message: &StreamMessage) {
        let mut state = self.state();
        if let Some(position) = &mut state.position {
            position.sequence = position.sequence.max(message.sequence);
        }
        let Some(subscribers) = state.subscribers.get_mut(message.subject.as_str()) else { return };
        subscribers.retain(|subscriber| subscriber.send(message.clone()));
    }

    fn remove(&self, subject: &str, id: u64) {
        let mut state = self.state();
        let Some(subscribers) = state.subscribers.get_mut(subject) else { return };
        subscribers.retain(|subscriber| subscriber.id != id);
        if subscribers.is_empty() {
            state.subscribers.remove(subject);
        }
    }
}

/// The messages of a subject from a position on.
pub(super) struct Subscription {
    /// The first message of the subscription comes after this position.
    pub(super) start: Position,
    messages: mpsc::UnboundedReceiver<StreamMessage>,
    queued: Arc<AtomicUsize>,
    subject: String,
    id: u64,
    shared: Arc<Shared>,
}

impl Subscription {
    /// Waits for messages. Returns `None` if messages are missing from here on. They have to be read from the stream.
    pub(super) async fn recv(&mut self) -> Option<Vec<StreamMessage>> {
        let mut messages = Vec::new();
        self.messages.recv_many(&mut messages, MAX_RECEIVED).await;
        self.queued.fetch_sub(messages.iter().map(size).sum(), Ordering::Relaxed);
        (!messages.is_empty()).then_some(messages)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.shared.remove(&self.subject, self.id);
    }
}

fn size(message: &StreamMessage) -> usize {
    message.payload.len() + MESSAGE_OVERHEAD
}
