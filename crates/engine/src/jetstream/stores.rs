//! The streams and buckets, and what they hold.

use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::kv;
use async_nats::jetstream::object_store::{self, ObjectStore};
use async_nats::jetstream::stream::{Config, RetentionPolicy, StorageType, Stream};
use async_nats::jetstream::{Context, ErrorCode, consumer};

use super::error::ConnectError;
use crate::queue::CLAIM_TIME;

/// Marks the message that stands in the place of a batch that was removed.
pub(super) const REMOVED: &str = "Quilt-Removed";

/// Events: a subject for each batch, and a message for each append.
pub(super) const JOURNAL: &str = "quilt-journal";

/// Details of squares: a subject for each square.
const DETAILS: &str = "quilt-details";

/// Leases that wait, or are claimed.
const LEASES: &str = "quilt-leases";

/// Where claimed leases were cut.
const CUTS: &str = "quilt-cuts";

/// The subject of leases.
pub(super) const LEASE_SUBJECT: &str = "quilt.leases";

/// The subject on which nodes tell of themselves. Nobody stores it.
pub(super) const NODES_SUBJECT: &str = "quilt.nodes";

/// How long a message is known by its id, so that it is not stored twice.
const DUPLICATES: Duration = Duration::from_secs(120);

/// How long it is known where a lease was cut: longer than most attempts may take.
const CUTS_AGE: Duration = Duration::from_secs(2 * 3_600);

/// How long a deleted key leaves a trace, for those who are behind.
pub(super) const TRACE: Duration = Duration::from_secs(60);

/// How many leases may be claimed, or wait for their time.
const MAX_CLAIMS: i64 = 100_000;

/// How many workers may wait for a lease.
const MAX_WAITING: i64 = 100_000;

/// How many readers the stream of events may have: one for each batch that is run or watched, on each node. A server's own limit may be 1,000.
const MAX_READERS: i32 = 100_000;

/// Room for what goes with the body of a message, in bytes.
const HEADERS: usize = 1_024;

/// Handles to everything. Cheap to clone.
#[derive(Clone)]
pub(super) struct Stores {
    pub(super) context: Context,
    pub(super) journal: Stream<()>,
    /// Bodies that are too large for a message.
    pub(super) bodies: ObjectStore,
    /// What a body may have to go in a message, in bytes.
    pub(super) largest_body: usize,
    /// What is kept of tasks besides their outcomes.
    pub(super) details: Stream<()>,
    /// The workers' place in the queue.
    pub(super) workers: consumer::Consumer<pull::Config>,
    pub(super) cuts: Stream<()>,
    /// By owner and batch, what lists say of it.
    pub(super) batches: kv::Store,
    /// By batch and lap, the receipt.
    pub(super) receipts: kv::Store,
    /// By batch, those without a conclusion.
    pub(super) unfinished: kv::Store,
    /// By batch and lap, those whose lease was pushed.
    pub(super) started: kv::Store,
    /// By batch and lap, the node that keeps it. A key goes by itself when it is not renewed.
    pub(super) keepers: kv::Store,
    /// What all nodes share.
    pub(super) settings: kv::Store,
}

impl Stores {
    /// Whether there is a connection at this moment. Without one the client keeps what it is given for later, when nobody waits for it any more.
    pub(super) fn is_connected(&self) -> bool {
        self.context.client().connection_state() == State::Connected
    }

    /// Makes what is missing, and brings the rest to how this version has it.
    pub(super) async fn set_up(context: Context, replicas: usize, max_payload: usize) -> Result<Self, ConnectError> {
        let stream = async |config: Config, what| {
            let set_up = |error: String| ConnectError::SetUp { what, reason: error };
            let num_replicas = replicas_of(&context, &config.name, replicas).await.map_err(set_up)?;
            let config = Config { storage: StorageType::File, num_replicas, ..config };
            let info = context.create_or_update_stream(config).await.map_err(|error| set_up(error.to_string()))?;
            context.get_stream_no_info(&info.config.name).await.map_err(|error| set_up(error.to_string()))
        };
        let bucket = async |name: &'static str, max_age| {
            let set_up = |reason| ConnectError::SetUp { what: name, reason };
            let config = kv::Config {
                bucket: name.into(),
                history: 1,
                max_age,
                num_replicas: replicas_of(&context, &format!("KV_{name}"), replicas).await.map_err(set_up)?,
                limit_markers: Some(TRACE),
                ..kv::Config::default()
            };
            let made = context.create_or_update_key_value(config).await;
            made.map_err(|error| set_up(told(&error)))
        };
        let journal = Config {
            name: JOURNAL.into(),
            subjects: vec![journal_subject("*")],
            duplicate_window: DUPLICATES,
            max_consumers: MAX_READERS,
            allow_direct: true,
            allow_message_ttl: true,
            ..Config::default()
        };
        let details = Config {
            name: DETAILS.into(),
            subjects: vec![detail_subject("*", "*")],
            max_messages_per_subject: 1,
            ..Config::default()
        };
        let leases = Config {
            name: LEASES.into(),
            subjects: vec![LEASE_SUBJECT.into()],
            retention: RetentionPolicy::WorkQueue,
            duplicate_window: DUPLICATES,
            ..Config::default()
        };
        let cuts = Config {
            name: CUTS.into(),
            subjects: vec![cut_subject("*")],
            max_messages_per_subject: 1,
            max_age: CUTS_AGE,
            ..Config::default()
        };
        let workers = pull::Config {
            durable_name: Some("workers".into()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: CLAIM_TIME,
            max_ack_pending: MAX_CLAIMS,
            max_waiting: MAX_WAITING,
            ..pull::Config::default()
        };
        let leases = stream(leases, "the stream of leases").await?;
        Ok(Self {
            journal: stream(journal, "the stream of events").await?,
            bodies: object_store(&context, replicas).await?,
            largest_body: max_payload - HEADERS,
            details: stream(details, "the stream of details").await?,
            workers: leases
                .create_consumer(workers)
                .await
                .map_err(|error| ConnectError::SetUp { what: "the workers' consumer", reason: told(&error) })?,
            cuts: stream(cuts, "the stream of cuts").await?,
            batches: bucket("quilt-batches", Duration::ZERO).await?,
            receipts: bucket("quilt-receipts", Duration::ZERO).await?,
            unfinished: bucket("quilt-unfinished", Duration::ZERO).await?,
            started: bucket("quilt-started", Duration::ZERO).await?,
            keepers: bucket("quilt-keepers", CLAIM_TIME).await?,
            settings: bucket("quilt-settings", Duration::ZERO).await?,
            context,
        })
    }
}

/// How many replicas a stream is to have: never fewer than it has. One node that was told of fewer is no reason to keep less.
async fn replicas_of(context: &Context, stream: &str, asked: usize) -> Result<usize, String> {
    let has = match context.get_stream(stream).await {
        Ok(stream) => stream.cached_info().config.num_replicas,
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => asked,
            _ => return Err(error.to_string()),
        },
    };
    if has > asked {
        tracing::debug!(stream, has, asked, "keeps its replicas");
    }
    Ok(has.max(asked))
}

async fn object_store(context: &Context, replicas: usize) -> Result<ObjectStore, ConnectError> {
    const NAME: &str = "quilt-bodies";
    if let Ok(store) = context.get_object_store(NAME).await {
        return Ok(store);
    }
    let config =
        object_store::Config { bucket: NAME.into(), num_replicas: replicas, ..object_store::Config::default() };
    let made = context.create_object_store(config).await;
    made.map_err(|error| ConnectError::SetUp { what: NAME, reason: told(&error) })
}

/// An error with what led to it: the cause is what helps.
fn told(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

/// The subject of a batch's events.
pub(super) fn journal_subject(batch: &str) -> String {
    format!("quilt.journal.{batch}")
}

/// The subject of what is kept of a square, by batch and index.
pub(super) fn detail_subject(batch: &str, index: &str) -> String {
    format!("quilt.details.{batch}.{index}")
}

/// The subject of where a lease was cut, by its sequence number.
pub(super) fn cut_subject(lease: &str) -> String {
    format!("quilt.cuts.{lease}")
}
