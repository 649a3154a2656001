//! Watches over the file while it is open: whether it still is the one at its path, and whether it can be written.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::failure::Failure;
use crate::journal::JournalError;

/// With less free space, in bytes, a write finds out whether the file can still be written.
const LOW_SPACE: u64 = 256 << 10;

/// What is known of the file. Shared by all who use it.
pub(super) struct Guard {
    path: PathBuf,
    opened: Option<Identity>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whether the path led to another file, or to none, at the last check.
    is_moved: bool,
    /// Why the last write failed, if it did.
    refusal: Option<String>,
}

/// Which file it is, whatever its name: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity(u64, u64);

impl Identity {
    #[cfg(unix)]
    fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self(metadata.dev(), metadata.ino()))
    }

    /// Other systems do not let an open file be deleted.
    #[cfg(not(unix))]
    fn of(_path: &Path) -> Option<Self> {
        None
    }
}

impl Guard {
    /// Watches over a file that was just opened.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.into(), opened: Identity::of(path), state: Mutex::default() }
    }

    /// Fails if the path leads to another file than the one that was opened, or to none.
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

    /// Whether the file can be written, as far as is known.
    pub(super) fn health(&self) -> Result<(), JournalError> {
        self.check_file()?;
        match &self.state().refusal {
            Some(reason) => Err(JournalError::Unavailable(reason.clone())),
            None => Ok(()),
        }
    }

    /// A write was stored.
    pub(super) fn note_success(&self) {
        if self.state().refusal.take().is_some() {
            tracing::info!("the journal is available again");
        }
    }

    /// A write failed, and every other one would. Writes are retried every second: this logs the first failure only.
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

/// How much can be written on the disk of a file, in bytes.
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
