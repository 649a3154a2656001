//! Checks the file periodically while it is open.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::guard::Guard;
use super::writer::Command;
use super::writes::Write;

/// How often the file is checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

type Commands = Mutex<Option<mpsc::Sender<Command>>>;

/// Checks the file every second until the journal is closed or dropped. If the last write failed, or the disk is nearly full, it sends a
/// probe to the writer.
pub(super) fn watch(guard: &Arc<Guard>, commands: &Arc<Commands>) {
    let (guard, commands) = (Arc::downgrade(guard), Arc::downgrade(commands));
    std::thread::spawn(move || {
        while check(&guard, &commands).is_some() {
            std::thread::sleep(CHECK_INTERVAL);
        }
    });
}

/// Runs one check. Returns `None` if the journal is closed.
fn check(guard: &Weak<Guard>, commands: &Weak<Commands>) -> Option<()> {
    let guard = guard.upgrade()?;
    let commands = commands.upgrade()?.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
    if guard.check_file().is_ok() && guard.needs_probe() {
        let (written, _) = oneshot::channel();
        // If the queue is full, the queued writes serve as the probe.
        let _ = commands.try_send(Command { write: Write::Probe, written });
    }
    Some(())
}
