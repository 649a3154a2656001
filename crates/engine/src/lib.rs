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
//! - `worker`: what one works with; `worker_loop`: takes leases; `lease_run`: runs the tasks of one; `gathered`: what came of them
//! - `attempt`: one try at a task; `backoff`: the wait before the next one; `pace`: how long a lease should be
//! - `panics`: catches the panics of tasks, and logs them once a batch
//! - `checksum`: of what a journal stores; `clock`: the time of day; `activity`: what the workers of this node do; `colleagues`: the other nodes
//! - [`work`]: what tasks do, a file for each kind
//! - [`embedded`]: both seams in one process, on SQLite and in memory; [`jetstream`]: on NATS, for many processes

mod activity;
mod attempt;
mod backoff;
mod checksum;
mod clock;
mod colleagues;
pub mod embedded;
pub mod engine;
mod gathered;
pub mod jetstream;
pub mod journal;
mod lease_run;
pub mod live;
mod pace;
mod panics;
pub mod queue;
pub mod work;
mod worker;
mod worker_loop;

pub use clock::{Clock, now};
pub use colleagues::{Announcement, Busy, MAX_SLOTS, Node};
pub use engine::{ControlError, Engine, LaunchError, Settings, SquareRecord, SquareResult, TooManyRunning};
pub use journal::{Journal, JournalError, Offset, Retention};
pub use live::{LiveBatch, Messages, Next, Viewer};
pub use queue::{Lease, Queue};
