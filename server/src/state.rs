//! What the handlers of requests share.

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

/// How many pictures are drawn at the same time.
const MAX_CONCURRENT_PICTURES: usize = 2;

/// How many bodies that may be large are taken in at the same time; others wait.
const MAX_CONCURRENT_LARGE_BODIES: usize = 4;

/// How many readers of journals there are at the same time. Each holds a part of one in memory for as long as it takes to read.
pub(crate) const MAX_JOURNAL_READERS: usize = 256;

/// Presets that were drawn: there are as many as the forms have, and each is drawn once.
type Previews = Mutex<HashMap<(String, usize), Bytes>>;

/// What handlers share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct AppState {
    pub(crate) engine: Engine,
    pub(crate) limits: Limits,
    /// The only visitor who may change anything, of a server that is one user's tool.
    pub(crate) sole_owner: Option<OwnerId>,
    pub(crate) max_channels: usize,
    pub(crate) max_body: usize,
    pub(crate) max_input: usize,
    pub(crate) origin: Arc<AllowedOrigins>,
    pub(crate) key: Key,
    pub(crate) leptos: LeptosOptions,
    /// The files that the browser loads.
    pub(crate) site: Site,
    /// Those that every page loads, if they are there.
    pub(crate) names: Option<Names>,
    /// The presets that were drawn already.
    pub(crate) previews: Arc<Previews>,
    /// Taken by each picture while it is drawn.
    pub(crate) pictures: Arc<Semaphore>,
    /// Taken by each request whose body may be large, until it is answered.
    pub(crate) large_bodies: Arc<Semaphore>,
    /// Taken by each reader of a journal.
    pub(crate) journals: Arc<Semaphore>,
    /// Cancelled when the server is stopping: what streams has to end.
    pub(crate) stopping: CancellationToken,
    /// The channels that are open.
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
