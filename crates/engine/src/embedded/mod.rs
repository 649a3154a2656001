//! Both seams in one process: the journal is one SQLite file, the queue lives in memory and is rebuilt at the start.
//!
//! # Layout
//!
//! - [`SqliteJournal`]: reads, and hands writes over
//! - `writer`: the one thread that writes, many appends to a commit
//! - `record`: the row of a batch; `events`, `details`, `attachments`: what belongs to it, verified when it is read
//! - `schema`: the tables and their versions; `trouble`: what SQLite's errors mean
//! - [`MemoryQueue`]: leases, delays and claims

mod attachments;
mod details;
mod events;
mod journal;
mod queue;
mod record;
mod schema;
mod trouble;
mod writer;

pub use journal::SqliteJournal;
pub use queue::MemoryQueue;
pub use schema::OpenError;
