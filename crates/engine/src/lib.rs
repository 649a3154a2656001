//! Runs batches: fan out over workers, fan in through the journal.
//!
//! Knows no HTTP, no pages and no sessions. Everything durable goes through [`Journal`], and what connects several nodes through [`Cluster`];
//! above them there is one code path.
//!
//! # Layout
//!
//! - [`engine`]: [`Engine`], what a program launches, controls and watches batches with
//! - [`journal`]: the interface to what is stored
//! - [`live`]: batches that are being followed, folded and kept in memory
//! - [`dispatch`]: hands out work: a dispatcher for each lap, a scheduler for each node
//! - `worker`: runs tasks; `estimate`: how long they take
//! - [`cluster`]: the interface to other nodes, and what nodes send each other
//! - `panics`: catches the panics of tasks, and logs them once a batch; `panic_message`: what they say
//! - `lease_id`: the fencing token of a task; `checksum`: of what a journal stores; `clock`: the time of day
//! - `slots`: what a task needs of its node, and how many such tasks it runs
//! - [`work`]: what tasks do, a file for each kind
//! - [`embedded`]: a journal in one process, on SQLite; [`jetstream`]: journal and cluster on NATS

mod checksum;
mod clock;
pub mod cluster;
pub mod dispatch;
pub mod embedded;
pub mod engine;
mod estimate;
pub mod jetstream;
pub mod journal;
mod lease_id;
pub mod live;
mod panic_message;
mod panics;
mod slots;
pub mod work;
mod worker;

pub use clock::{Clock, now};
pub use cluster::Cluster;
pub use engine::{ControlError, Engine, LaunchError, Settings, SquareRecord, SquareResult, TooManyRunning};
pub use journal::{Journal, JournalError, Offset, Retention};
pub use live::{LiveBatch, Messages, Next, Viewer};
pub use slots::{BySlotClass, MAX_SLOTS, Node, SlotClass, Slots};
