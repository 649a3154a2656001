//! Runs batches: fan out over workers, fan in through the journal.
//!
//! Knows no HTTP, no pages and no sessions. Everything durable goes through two seams, [`Journal`] and [`Queue`];
//! above them there is one code path, whatever stands below.
//!
//! # Layout
//!
//! - [`engine`]: [`Engine`], what a program launches, controls and watches batches with
//! - [`journal`]: the seam for events; [`queue`]: the seam for leases
//! - [`live`]: batches that are being followed, folded and kept in memory
//! - `worker`: takes leases, runs tasks, writes outcomes
//! - `attempt`: one try at a task; `backoff`: the wait before the next one; `pace`: how long a lease should be
//! - [`work`]: what tasks do, a file for each kind
//! - [`embedded`]: both seams in one process, on SQLite and in memory

mod attempt;
mod backoff;
mod clock;
pub mod embedded;
pub mod engine;
pub mod journal;
pub mod live;
mod pace;
pub mod queue;
pub mod work;
mod worker;

pub use clock::now;
pub use engine::{ControlError, Engine, LaunchError, Settings};
pub use journal::{Journal, JournalError};
pub use live::{LiveBatch, Viewer};
pub use queue::{Lease, Queue};
