//! The backend of the engine: a data folder of this node, or NATS, which the nodes of a cluster share.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;

use axum_extra::extract::cookie::Key;
use engine::embedded::SqliteJournal;
use engine::jetstream::{JetStream, Options};
use engine::{Cluster, Engine, Journal, Settings};

use crate::config::Config;
use crate::serve_error::ServeError;
use crate::session::{fresh_key, load_key, shared_key};

/// An open backend.
pub(crate) struct Backend {
    journal: Arc<dyn Journal>,
    cluster: Option<Cluster>,
    /// See [`Settings::first_epoch`].
    first_epoch: Option<u64>,
    /// Signs session cookies.
    pub(crate) key: Key,
    /// The lock of the data folder. The operating system releases it when the process ends, even after a crash.
    pub(crate) lock: Option<File>,
}

impl Backend {
    pub(crate) async fn open(config: &Config) -> Result<Self, ServeError> {
        match &config.nats {
            Some(options) => Box::pin(Self::open_nats(options, &config.engine.node.name)).await,
            None => Self::open_embedded(&config.data),
        }
    }

    fn open_embedded(folder: &Path) -> Result<Self, ServeError> {
        std::fs::create_dir_all(folder).map_err(|source| ServeError::Data { folder: folder.into(), source })?;
        let lock = lock(folder)?;
        let key = load_key(&folder.join("session.key"))?;
        let journal = SqliteJournal::open(&folder.join("quilt.db"))?;
        let first_epoch = Some(journal.first_epoch());
        Ok(Self { key, journal: Arc::new(journal), cluster: None, first_epoch, lock: Some(lock) })
    }

    async fn open_nats(options: &Options, name: &str) -> Result<Self, ServeError> {
        let nats = JetStream::connect(options).await?;
        let key = shared_key(&nats.shared("session.key", &fresh_key()).await?)?;
        let (journal, cluster) = (Arc::new(nats.journal()), Some(nats.join(name).await?));
        Ok(Self { key, journal, cluster, first_epoch: None, lock: None })
    }

    /// Starts an engine on this backend.
    pub(crate) async fn start(&self, config: &Config) -> Result<Engine, ServeError> {
        let (journal, cluster) = (Arc::clone(&self.journal), self.cluster.clone());
        let settings = Settings { first_epoch: self.first_epoch, ..config.engine.clone() };
        Ok(Engine::start(journal, cluster, kinds::registry(config.work.clone()), settings).await?)
    }
}

/// Locks the data folder. A second process with the same folder would run the same tasks.
fn lock(folder: &Path) -> Result<File, ServeError> {
    let data = |source| ServeError::Data { folder: folder.into(), source };
    let file = File::create(folder.join("quilt.lock")).map_err(data)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ServeError::InUse { folder: folder.into() }),
        Err(TryLockError::Error(source)) => Err(data(source)),
    }
}
