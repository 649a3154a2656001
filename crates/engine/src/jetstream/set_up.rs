//! Creates streams and buckets, or updates the configuration of existing ones.

use std::error::Error;

use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::object_store::ObjectStore;
use async_nats::jetstream::stream::{Compression, Config, DiscardPolicy, StorageType, Stream};
use async_nats::jetstream::{Context, ErrorCode, kv};

use super::calls::{code, failed};
use super::error::ConnectError;
use super::link::Link;
use super::names::{DEFAULT_PREFIX, Names};
use crate::journal::JournalError;

/// Error codes for an existing stream with the same name or subjects that cannot be changed as needed.
const UNSUITABLE: [ErrorCode; 5] = [
    ErrorCode::STREAM_INVALID_CONFIG,
    ErrorCode::STREAM_NAME_EXIST,
    ErrorCode::STREAM_SUBJECT_OVERLAP,
    ErrorCode::STREAM_SEALED,
    ErrorCode::STREAM_MIRROR_NOT_UPDATABLE,
];

/// Creates streams and buckets. Cheap to clone.
#[derive(Clone)]
pub(super) struct SetUp {
    pub(super) context: Context,
    pub(super) names: Names,
    pub(super) link: Link,
    /// The number of servers that store each message.
    pub(super) replicas: usize,
    /// The largest message that the server accepts, in bytes.
    pub(super) max_payload: usize,
}

impl SetUp {
    /// Creates or updates a stream. The default prefix of its name and subjects is replaced by this cluster's prefix. Settings of
    /// operators, such as size limits and placement, are preserved.
    pub(super) async fn stream(&self, config: Config, what: &'static str) -> Result<Stream<()>, ConnectError> {
        let name = self.with_prefix(&config.name, '-');
        let subjects = config.subjects.iter().map(|subject| self.with_prefix(subject, '.')).collect();
        // A full stream rejects messages instead of deleting old ones.
        let mut config = Config { name, subjects, storage: StorageType::File, discard: DiscardPolicy::New, ..config };
        let known = self.known(&config.name, what).await?;
        config.num_replicas = self.replicas_of(known.as_ref());
        if let Some(known) = known {
            config = Config {
                max_bytes: known.max_bytes,
                placement: known.placement,
                compression: known.compression,
                metadata: known.metadata,
                republish: known.republish,
                description: known.description,
                // A limit that version 0.1.0 set, and that cannot be changed.
                max_consumers: known.max_consumers,
                ..config
            };
        }
        let name = config.name.clone();
        let made = self.context.create_or_update_stream(config).await;
        made.map_err(|error| refusal(what, &name, error))?;
        self.context.get_stream_no_info(&name).await.map_err(|error| refusal(what, &name, error))
    }

    /// Creates or updates a bucket, with the same prefix.
    pub(super) async fn bucket(&self, name: &'static str, config: kv::Config) -> Result<kv::Store, ConnectError> {
        let bucket = self.with_prefix(name, '-');
        let stream = format!("KV_{bucket}");
        let known = self.known(&stream, name).await?;
        let num_replicas = self.replicas_of(known.as_ref());
        let mut config = kv::Config { bucket, history: 1, num_replicas, ..config };
        if let Some(known) = known {
            if known.storage != StorageType::File {
                let reason = "it is in memory".into();
                return Err(ConnectError::Unsuitable { stream, reason });
            }
            config = kv::Config {
                max_bytes: known.max_bytes,
                placement: known.placement,
                compression: known.compression.is_some_and(|compression| compression != Compression::None),
                republish: known.republish,
                description: known.description.unwrap_or_default(),
                ..config
            };
        }
        let made = self.context.create_or_update_key_value(config).await;
        made.map_err(|error| refusal(name, &stream, error))
    }

    /// The object store of version 0.1.0, if there is one. It is read from the leader of its stream, which has all messages.
    pub(super) async fn objects(&self) -> Result<Option<ObjectStore>, ConnectError> {
        const WHAT: &str = "the object store of version 0.1.0";
        let bucket = self.names.stream("bodies");
        let stream = format!("OBJ_{bucket}");
        let Some(mut known) = self.known(&stream, WHAT).await? else { return Ok(None) };
        let refusal = |error: &dyn Error| ConnectError::SetUp { what: WHAT, reason: error_with_source(error) };
        if known.allow_direct || !known.max_age.is_zero() {
            known.allow_direct = false;
            known.max_age = std::time::Duration::ZERO;
            self.context.update_stream(known).await.map_err(|error| refusal(&error))?;
        }
        self.context.get_object_store(&bucket).await.map(Some).map_err(|error| refusal(&error))
    }

    /// The configuration of an existing stream.
    async fn known(&self, stream: &str, what: &'static str) -> Result<Option<Config>, ConnectError> {
        match self.context.get_stream(stream).await {
            Ok(stream) => Ok(Some(stream.cached_info().config.clone())),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
                _ => Err(refusal(what, stream, error)),
            },
        }
    }

    /// Never fewer than before: a node that was started with fewer replicas must not reduce them.
    fn replicas_of(&self, known: Option<&Config>) -> usize {
        known.map_or(self.replicas, |known| known.num_replicas.max(self.replicas))
    }

    fn with_prefix(&self, name: &str, separator: char) -> String {
        match name.strip_prefix(DEFAULT_PREFIX).and_then(|rest| rest.strip_prefix(separator)) {
            Some(rest) if separator == '-' => self.names.stream(rest),
            Some(rest) => self.names.subject(rest),
            None => name.into(),
        }
    }
}

/// Maps an error of a set-up call.
fn refusal(what: &'static str, stream: &str, error: impl Error + 'static) -> ConnectError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(known) = cause.filter(|known| code(*known).is_none()) {
        cause = known.source();
    }
    if cause.and_then(code).is_some_and(|code| UNSUITABLE.contains(&code)) {
        return ConnectError::Unsuitable { stream: stream.into(), reason: error_with_source(&error) };
    }
    let reason = error_with_source(&error);
    match failed(error) {
        JournalError::Refused(reason) => ConnectError::Refused { reason },
        _ => ConnectError::SetUp { what, reason },
    }
}

/// An error with its source, which has the details.
pub(super) fn error_with_source(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
