//! The workers of a node.
//!
//! # Layout
//!
//! - `pool`: the workers of a node, as many as have work; `context`: what they work with
//! - `work_loop`: a worker, which takes leases and gives them back; `source`: where they come from
//! - `chunk_run`: runs the tasks of one chunk; `attempt`: one attempt at a task; `backoff`: the delay before the next one
//! - `write_buffer`: attempts and outcomes on their way to the journal; `status`: what a worker is running

mod attempt;
mod backoff;
mod chunk_run;
mod context;
mod pool;
mod source;
mod status;
mod work_loop;
mod write_buffer;

pub(crate) use self::context::WorkerContext;
pub(crate) use self::pool::WorkerPool;
pub(crate) use self::source::WorkSource;
