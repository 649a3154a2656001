//! The streams and buckets, and what they hold.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::Context;
use async_nats::jetstream::kv::{self, CreateErrorKind};
use async_nats::jetstream::object_store::ObjectStore;
use async_nats::jetstream::stream::{Config, Stream};
use bytes::Bytes;

use super::calls::failed;
use super::error::ConnectError;
use super::link::Link;
use super::names::Names;
use super::set_up::SetUp;
use crate::dispatch::LEASE_TTL;

/// Marks the message that stands in the place of a batch that was removed.
pub(super) const REMOVED: &str = "Quilt-Removed";

/// How long a message is known by its id, so that it is not stored twice.
const DUPLICATES: Duration = Duration::from_secs(120);

/// How long a deleted key leaves a trace, for those who are behind.
pub(super) const TRACE: Duration = Duration::from_secs(60);

/// Room for what goes with the body of a message, in bytes.
const HEADERS: usize = 1_024;

/// Handles to everything. Cheap to clone.
#[derive(Clone)]
pub(super) struct Stores {
    pub(super) context: Context,
    pub(super) link: Link,
    pub(super) names: Names,
    /// How to make all of this again, and with which values that all nodes share.
    set_up: SetUp,
    shared: Arc<Mutex<HashMap<String, Bytes>>>,
    /// Events: a subject for each batch, and a message for each append.
    pub(super) journal: Stream<()>,
    /// Bodies that are too large for a message: a subject for each part.
    pub(super) bodies: Stream<()>,
    /// Where version 0.1.0 stored them, if there is any.
    pub(super) objects: Option<ObjectStore>,
    /// What a body may have to go in a message, in bytes.
    pub(super) largest_body: usize,
    /// What is kept of tasks besides their outcomes: a subject for each square.
    pub(super) details: Stream<()>,
    /// By owner and batch, what lists say of it.
    pub(super) batches: kv::Store,
    /// By batch and lap, the receipt.
    pub(super) receipts: kv::Store,
    /// By batch, those without a final summary.
    pub(super) unfinished: kv::Store,
    /// By batch and lap, the node that coordinates it.
    pub(super) coordinators: kv::Store,
    /// By id, the nodes that coordinate laps. A key that is not renewed expires.
    pub(super) nodes: kv::Store,
    /// What all nodes share.
    pub(super) settings: kv::Store,
}

impl Stores {
    /// Whether there is a connection at this moment. Without one the client keeps what it is given for later, when nobody waits for it any more.
    pub(super) fn is_connected(&self) -> bool {
        self.context.client().connection_state() == State::Connected
    }

    /// Makes what is missing, and changes the rest to how this version has it.
    pub(super) async fn set_up(set_up: SetUp) -> Result<Self, ConnectError> {
        let SetUp { context, names, link, .. } = set_up.clone();
        let stream = async |config: Config, what| set_up.stream(config, what).await;
        let bucket = async |name: &'static str, max_age| {
            let config = kv::Config { max_age, limit_markers: Some(TRACE), ..kv::Config::default() };
            set_up.bucket(name, config).await
        };
        let journal = Config {
            name: names.stream("journal"),
            subjects: vec![names.journal("*")],
            duplicate_window: DUPLICATES,
            allow_direct: true,
            allow_message_ttl: true,
            ..Config::default()
        };
        let details = Config {
            name: names.stream("details"),
            subjects: vec![names.detail("*", "*")],
            max_messages_per_subject: 1,
            allow_direct: true,
            ..Config::default()
        };
        let bodies = Config {
            name: names.stream("bodies"),
            subjects: vec![names.body("*", "*", "*")],
            max_messages_per_subject: 1,
            ..Config::default()
        };
        Ok(Self {
            journal: stream(journal, "the stream of events").await?,
            bodies: stream(bodies, "the stream of bodies").await?,
            objects: set_up.objects().await?,
            largest_body: set_up.max_payload - HEADERS,
            details: stream(details, "the stream of details").await?,
            batches: bucket("quilt-batches", Duration::ZERO).await?,
            receipts: bucket("quilt-receipts", Duration::ZERO).await?,
            unfinished: bucket("quilt-unfinished", Duration::ZERO).await?,
            coordinators: bucket("quilt-coordinators", Duration::ZERO).await?,
            nodes: bucket("quilt-nodes", LEASE_TTL).await?,
            settings: bucket("quilt-settings", Duration::ZERO).await?,
            context,
            link,
            names,
            set_up,
            shared: Arc::default(),
        })
    }

    /// Makes what has vanished again. Handles stay valid: they have names and nothing else of what is on the server.
    pub(super) async fn restore(&self) -> Result<(), ConnectError> {
        Box::pin(Self::set_up(self.set_up.clone())).await?;
        // Other nodes know the same values, or it is too late.
        let shared = self.shared().clone();
        for (name, value) in shared {
            match self.settings.create(&name, value).await {
                Err(error) if error.kind() != CreateErrorKind::AlreadyExists => return Err(failed(error).into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Notes a value that all nodes share.
    pub(super) fn remember_shared(&self, name: &str, value: &[u8]) {
        self.shared().insert(name.into(), Bytes::copy_from_slice(value));
    }

    fn shared(&self) -> MutexGuard<'_, HashMap<String, Bytes>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The names of the streams that have to be there.
    pub(super) fn stream_names(&self) -> Vec<String> {
        let streams = ["journal", "details", "bodies"].map(|name| self.names.stream(name));
        let buckets =
            [&self.batches, &self.receipts, &self.unfinished, &self.coordinators, &self.nodes, &self.settings];
        streams.into_iter().chain(buckets.map(|bucket| bucket.stream_name.clone())).collect()
    }
}
