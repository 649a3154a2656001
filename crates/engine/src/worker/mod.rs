//! The workers of a node.
//!
//! # Layout
//!
//! - `pool`: the workers of a node, as many as there is work; `context`: the state that they share
//! - `work_loop`: a worker, which takes and releases leases; `source`: obtains leases
//! - `chunk_run`: runs the tasks of one chunk; `async_tasks`, `blocking_tasks`: tasks that wait, and tasks that compute; `attempt`: one
//!   attempt at a task that waits; `blocking_thread`: runs tasks that compute; `backoff`: the delay before the next attempt
//! - `settled`: the outcome of a task; `write_buffer`: attempts and outcomes to be written to the journal; `status`: the running task of a worker

mod async_tasks;
mod attempt;
mod backoff;
mod blocking_tasks;
mod blocking_thread;
mod chunk_run;
mod context;
mod pool;
mod settled;
mod source;
mod status;
mod work_loop;
mod write_buffer;

pub(crate) use self::context::WorkerContext;
pub(crate) use self::pool::WorkerPool;
pub(crate) use self::source::WorkSource;
