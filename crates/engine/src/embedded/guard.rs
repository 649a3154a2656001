//! Monitors the file while it is open: whether it is still at its path, and whether it is writable.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::failure::Failure;
use crate::journal::JournalError;

/// With less free space than this, in bytes, probes are written to check that the file is still writable.
const LOW_SPACE: u64 = 256 << 10;

/// The state of the file. Shared by all connections.
pub(super) struct Guard {
    path: PathBuf,
    opened: Option<Identity>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whether the path was missing or led to another file at the last check.
    is_moved: bool,
    /// The reason why the last write failed, if it did.
    refusal: Option<String>,
}

/// Identifies a file independently of its path: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity(u64, u64);

impl Identity {
    #[cfg(unix)]
    fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self(metadata.dev(), metadata.ino()))
    }

    /// Other systems do not allow deleting an open file.
    #[cfg(not(unix))]
    fn of(_path: &Path) -> Option<Self> {
        None
    }
}

impl Guard {
    /// Monitors a file that was just opened.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.into(), opened: Identity::of(path), state: Mutex::default() }
    }

    /// Fails if the path is missing or leads to another file than the one that was opened.
    pub(super) fn check_file(&self) -> Result<(), Failure> {
        let is_moved = Identity::of(&self.path) != self.opened;
        let was_moved = std::mem::replace(&mut self.state().is_moved, is_moved);
        if !is_moved {
            if was_moved {
                tracing::info!(path = %self.path.display(), "the journal is back");
            }
            return Ok(());
        }
        let reason = format!(
            "{} was deleted or replaced while the server runs; stop the server, put the file back, and start the server",
            self.path.display()
        );
        if !was_moved {
            tracing::error!("{reason}");
        }
        Err(Failure::Moved(reason))
    }

    /// Whether the file is writable, according to the last write and the check of its path.
    pub(super) fn health(&self) -> Result<(), JournalError> {
        self.check_file()?;
        match &self.state().refusal {
            Some(reason) => Err(JournalError::Unavailable(reason.clone())),
            None => Ok(()),
        }
    }

    /// Records that a write succeeded.
    pub(super) fn note_success(&self) {
        if self.state().refusal.take().is_some() {
            tracing::info!("the journal is available again");
        }
    }

    /// Records that a write failed for a reason that affects all writes. Writes are retried every second, so only the first failure is
    /// logged.
    pub(super) fn note_failure(&self, reason: String) {
        if self.state().refusal.is_none() {
            tracing::error!(reason, "nothing can be written");
        }
        self.state().refusal = Some(reason);
    }

    pub(super) fn needs_probe(&self) -> bool {
        self.state().refusal.is_some() || free_space(&self.path).is_some_and(|free| free < LOW_SPACE)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Free space on the disk of a file, in bytes.
fn free_space(path: &Path) -> Option<u64> {
    #[cfg(unix)]
    let free = rustix::fs::statvfs(path).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    #[cfg(not(unix))]
    let free = {
        let _ = path;
        None
    };
    free
}
