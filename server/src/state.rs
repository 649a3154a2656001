//! The state that request handlers share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::FromRef;
use axum_extra::extract::cookie::Key;
use bytes::Bytes;
use engine::Engine;
use leptos::config::LeptosOptions;
use quilt::{Limits, OwnerId};
use site::Names;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::origin::AllowedOrigins;
use crate::site_files::Site;

/// Maximum number of pictures that are drawn at the same time.
const MAX_CONCURRENT_PICTURES: usize = 2;

/// Maximum number of large bodies that are received at the same time; other requests wait.
const MAX_CONCURRENT_LARGE_BODIES: usize = 4;

/// Maximum number of concurrent responses with journals or results. Each holds a part of a journal in memory until the client has read it.
pub(crate) const MAX_JOURNAL_READERS: usize = 256;

/// PNGs of presets, by kind and number. Bounded by the number of presets.
type Previews = Mutex<HashMap<(String, usize), Bytes>>;

/// The state that request handlers share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct AppState {
    pub(crate) engine: Engine,
    pub(crate) limits: Limits,
    /// The only visitor who may send unsafe requests, if a command-line tool runs this server.
    pub(crate) sole_owner: Option<OwnerId>,
    pub(crate) max_channels: usize,
    pub(crate) max_body: usize,
    pub(crate) max_input: usize,
    pub(crate) origin: Arc<AllowedOrigins>,
    pub(crate) key: Key,
    pub(crate) leptos: LeptosOptions,
    /// The static files.
    pub(crate) site: Site,
    /// The names of the files that every page loads; `None` if there is no site.
    pub(crate) names: Option<Names>,
    /// The cached previews.
    pub(crate) previews: Arc<Previews>,
    /// One permit per picture while it is drawn.
    pub(crate) pictures: Arc<Semaphore>,
    /// One permit per request with a large body, until the response.
    pub(crate) large_bodies: Arc<Semaphore>,
    /// One permit per response with a journal or results.
    pub(crate) journals: Arc<Semaphore>,
    /// Cancelled when the server is stopping. Streaming responses have to end then.
    pub(crate) stopping: CancellationToken,
    /// Tracks the open channels.
    pub(crate) channels: TaskTracker,
}

impl AppState {
    pub(crate) fn new(config: &Config, engine: Engine, key: Key, leptos: LeptosOptions) -> Self {
        Self {
            engine,
            limits: config.limits,
            sole_owner: config.sole_owner,
            max_channels: config.max_channels,
            max_body: config.max_body,
            max_input: config.max_input,
            origin: Arc::new(config.origin.clone()),
            key,
            leptos,
            site: config.site.clone(),
            names: config.site.names(),
            previews: Arc::default(),
            pictures: Arc::new(Semaphore::new(MAX_CONCURRENT_PICTURES)),
            large_bodies: Arc::new(Semaphore::new(MAX_CONCURRENT_LARGE_BODIES)),
            journals: Arc::new(Semaphore::new(MAX_JOURNAL_READERS)),
            stopping: CancellationToken::new(),
            channels: TaskTracker::new(),
        }
    }
}

impl FromRef<AppState> for Key {
    fn from_ref(state: &AppState) -> Self {
        state.key.clone()
    }
}

impl FromRef<AppState> for LeptosOptions {
    fn from_ref(state: &AppState) -> Self {
        state.leptos.clone()
    }
}

impl FromRef<AppState> for Arc<AllowedOrigins> {
    fn from_ref(state: &AppState) -> Self {
        Arc::clone(&state.origin)
    }
}
