//! Hands out work: a dispatcher for each lap, on the node that coordinates it, and a scheduler for each node, which picks among them.
//!
//! # Layout
//!
//! - `lease`: chunks, leases, and what comes back with them; `asker`: who asks for one; `validity`: whether a lease still holds
//! - `fair`: the order of those who share workers
//! - `dispatcher`: the positions of one lap: unassigned, held, or waiting for a retry; `adoption`: a change of its coordinator; `suspects`: chunks whose workers were lost; `scheduler`: those of a node; `schedule`: their order
//! - `keys`: positions by what their tasks share that bears only so much; `keyed`: a dispatcher that has them
//! - `waiting`: why a task has not ended; `why`: as its dispatcher knows it
//! - `crash_log`: what this process runs, in a file that outlives it; `running_log`: keeps it in step

mod adoption;
mod asker;
mod crash_log;
mod dispatcher;
mod fair;
mod keyed;
mod keys;
mod lease;
mod running_log;
mod schedule;
mod scheduler;
mod suspects;
mod validity;
mod waiting;
mod why;

pub use self::asker::NodeId;
pub(crate) use self::asker::{Asker, Contact, Holder};
pub(crate) use self::crash_log::CrashLog;
pub(crate) use self::dispatcher::DispatchedLap;
pub(crate) use self::fair::{FairOrder, nanos};
pub use self::lease::{LapId, Lease, Measurement, Release, RetryGroup};
pub(crate) use self::schedule::Granted;
pub use self::scheduler::LEASE_TTL;
pub(crate) use self::scheduler::Scheduler;
pub(crate) use self::validity::Validity;
pub use self::waiting::Waiting;
pub use crate::lease_id::LeaseId;
