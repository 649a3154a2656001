//! Distributes work. Each lap has a dispatcher on the node that coordinates it, and each node has a scheduler, which selects among its
//! dispatchers.
//!
//! # Layout
//!
//! - `lease`: chunks, leases and their results; `asker`: a request for a lease; `validity`: whether a lease is valid
//! - `fair`: fair ordering by working time
//! - `dispatcher`: the positions of one lap: unassigned, leased, or waiting for a retry; `adoption`: leases of an earlier coordinator;
//!   `lease_end`: the end of leases; `suspects`: chunks whose workers were lost
//! - `scheduler`: all dispatchers of a node; `schedule`: their order; `class_order`: the order for one class of slots
//! - `keys`: queues of positions by concurrency key; `keyed`: a dispatcher with such queues
//! - `waiting`: why a task is pending; `why`: determines it for a dispatcher
//! - `crash_log`: a file that records the running chunks of this process; `running_log`: keeps it up to date

mod adoption;
mod asker;
mod class_order;
mod crash_log;
mod dispatcher;
mod fair;
mod keyed;
mod keys;
mod lease;
mod lease_end;
mod running_log;
mod schedule;
mod scheduler;
mod share_path;
mod suspects;
mod validity;
mod waiting;
mod why;

pub use self::asker::NodeId;
pub(crate) use self::asker::{Asker, Contact, Holder};
pub(crate) use self::crash_log::CrashLog;
pub(crate) use self::dispatcher::{DispatchedLap, PROBE_TIME};
pub(crate) use self::fair::{FairOrder, nanos};
pub use self::lease::{LapId, Lease, LeaseMode, Measurement, Release, RetryGroup};
pub(crate) use self::schedule::Granted;
pub use self::scheduler::LEASE_TTL;
pub(crate) use self::scheduler::Scheduler;
pub(crate) use self::share_path::SharePath;
pub(crate) use self::validity::Validity;
pub use self::waiting::Waiting;
pub use crate::lease_id::LeaseId;
