//! The journal of a single process, in one SQLite file.
//!
//! # Layout
//!
//! - [`SqliteJournal`]: reads through `readers`, and sends writes to the writer
//! - `writer`: the only thread that writes, with group commit; `writes`: the transactions
//! - `guard`: detects that the file is missing or the disk is full; `checks`: runs the guard periodically; `writer_mark`: detects a copy of
//!   a file that was in use; `clock`: determines the ages of batches
//! - `record`: the row of a batch; `events`, `details`, `attachments`: its data, verified when it is read
//! - `schema`: the tables and their versions; `failure`: maps SQLite errors

mod attachments;
mod checks;
mod clock;
mod details;
mod epochs;
mod events;
mod failure;
mod guard;
mod journal;
mod readers;
mod record;
mod schema;
#[cfg(test)]
mod upgrade_tests;
mod writer;
mod writer_mark;
mod writes;

pub use journal::SqliteJournal;
pub use schema::OpenError;
