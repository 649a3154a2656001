//! The streams and buckets.

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

/// Header of the tombstone of a removed batch.
pub(super) const REMOVED: &str = "Quilt-Removed";

/// The window in which duplicate message ids are detected.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// How long the marker of a deleted key remains, for readers that are behind.
pub(super) const DELETE_MARKER_TTL: Duration = Duration::from_secs(60);

/// Space reserved for the headers of a message, in bytes.
const HEADER_BYTES: usize = 1_024;

/// Handles to all streams and buckets. Cheap to clone.
#[derive(Clone)]
pub(super) struct Stores {
    pub(super) context: Context,
    pub(super) link: Link,
    pub(super) names: Names,
    /// Used to create the streams and buckets again, and to restore the shared values.
    set_up: SetUp,
    shared: Arc<Mutex<HashMap<String, Bytes>>>,
    /// Events: one subject per batch, one message per append.
    pub(super) journal: Stream<()>,
    /// Bodies that are too large for a message: one subject per part.
    pub(super) bodies: Stream<()>,
    /// The bodies of version 0.1.0, if there are any.
    pub(super) objects: Option<ObjectStore>,
    /// Maximum size of a body in a message, in bytes.
    pub(super) largest_body: usize,
    /// The details of tasks: one subject per square.
    pub(super) details: Stream<()>,
    /// List entries, by owner and batch.
    pub(super) batches: kv::Store,
    /// Receipts, by batch and lap.
    pub(super) receipts: kv::Store,
    /// Batches without a final summary, by batch.
    pub(super) unfinished: kv::Store,
    /// The ids of coordinators, by batch and lap.
    pub(super) coordinators: kv::Store,
    /// Nodes that coordinate laps, by id. A key that is not renewed expires.
    pub(super) nodes: kv::Store,
    /// Values that all nodes share.
    pub(super) settings: kv::Store,
}

impl Stores {
    /// Whether there is a connection at this moment. Without one the client queues messages and sends them after their callers have given
    /// up.
    pub(super) fn is_connected(&self) -> bool {
        self.context.client().connection_state() == State::Connected
    }

    /// Creates missing streams and buckets, and updates the configuration of existing ones.
    pub(super) async fn set_up(set_up: SetUp) -> Result<Self, ConnectError> {
        let SetUp { context, names, link, .. } = set_up.clone();
        let stream = async |config: Config, what| set_up.stream(config, what).await;
        let bucket = async |name: &'static str, max_age| {
            let config = kv::Config { max_age, limit_markers: Some(DELETE_MARKER_TTL), ..kv::Config::default() };
            set_up.bucket(name, config).await
        };
        let journal = Config {
            name: names.stream("journal"),
            subjects: vec![names.journal("*")],
            duplicate_window: DUPLICATE_WINDOW,
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
            largest_body: set_up.max_payload - HEADER_BYTES,
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

    /// Creates vanished streams and buckets again. Handles remain valid, because they only contain names.
    pub(super) async fn restore(&self) -> Result<(), ConnectError> {
        Box::pin(Self::set_up(self.set_up.clone())).await?;
        // The values are the same on all nodes. If another node has stored a different one already, that one remains.
        let shared = self.shared().clone();
        for (name, value) in shared {
            match self.settings.create(&name, value).await {
                Err(error) if error.kind() != CreateErrorKind::AlreadyExists => return Err(failed(error).into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Remembers a shared value for [`Stores::restore`].
    pub(super) fn remember_shared(&self, name: &str, value: &[u8]) {
        self.shared().insert(name.into(), Bytes::copy_from_slice(value));
    }

    fn shared(&self) -> MutexGuard<'_, HashMap<String, Bytes>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The names of the required streams.
    pub(super) fn stream_names(&self) -> Vec<String> {
        let streams = ["journal", "details", "bodies"].map(|name| self.names.stream(name));
        let buckets =
            [&self.batches, &self.receipts, &self.unfinished, &self.coordinators, &self.nodes, &self.settings];
        streams.into_iter().chain(buckets.map(|bucket| bucket.stream_name.clone())).collect()
    }
}
