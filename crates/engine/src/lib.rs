//! Runs batches: fan-out to workers, fan-in through the journal.
//!
//! Independent of HTTP, pages and sessions. All durable data goes through [`Journal`], and all communication between nodes through
//! [`Cluster`]. The code above these interfaces is the same for all backends.
//!
//! # Layout
//!
//! - [`engine`]: [`Engine`], which launches, controls and observes batches
//! - [`journal`]: the storage interface
//! - [`live`]: batches in memory, updated from the journal
//! - [`dispatch`]: distributes work: a dispatcher for each lap, a scheduler for each node
//! - `worker`: runs tasks; `estimate`: estimates their running time
//! - [`cluster`]: the interface to other nodes, and the messages between them
//! - `panics`: catches the panics of tasks and logs them once per batch; `panic_message`: extracts their messages
//! - `lease_id`: the fencing token of a task; `checksum`: checksums of stored values; `clock`: the time of day
//! - `results`: caches what pages of results need: the last attempt of each square, orders, items
//! - `slots`: slot classes of tasks, and the slots of nodes
//! - [`work`]: kinds of work, one file each
//! - [`embedded`]: the journal of a single process, on SQLite; [`jetstream`]: journal and cluster on NATS

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
mod results;
mod slots;
pub mod work;
mod worker;

pub use clock::{Clock, now};
pub use cluster::Cluster;
pub use engine::{ControlError, Engine, LaunchError, Launcher, Settings, SquareRecord, SquareResult, TooManyRunning};
pub use journal::{Journal, JournalError, Offset, Retention};
pub use live::{LiveBatch, Messages, Next, Viewer};
pub use results::{AttemptIndex, IndexedAttempt, Items, SortedSquares};
pub use slots::{BySlotClass, MAX_SLOTS, Node, SlotClass, Slots};
