//! The workers of a node.
//!
//! # Layout
//!
//! - `context`: a worker and what it needs; `work_loop`: takes leases and gives them back; `source`: where they come from
//! - `chunk_run`: runs the tasks of one chunk; `attempt`: one attempt at a task; `backoff`: the delay before the next one
//! - `write_buffer`: attempts and outcomes on their way to the journal; `status`: what a worker is running

mod attempt;
mod backoff;
mod chunk_run;
mod source;
mod status;
mod work_loop;

mod context;
mod write_buffer;

pub(crate) use self::context::Worker;
pub(crate) use self::source::WorkSource;
pub(crate) use self::status::WorkerStatus;
