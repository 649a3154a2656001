//! The journal of one process: one SQLite file.
//!
//! # Layout
//!
//! - [`SqliteJournal`]: reads through `readers`, and hands writes over
//! - `writer`: the one thread that writes, many appends to a commit; `writes`: what each of them does
//! - `guard`: notices that the file is gone or the disk full, when `checks` looks at it or a write fails; `writer_mark`: notices a copy of a file in use; `clock`: the time by which batches get old
//! - `record`: the row of a batch; `events`, `details`, `attachments`: what belongs to it, verified when it is read
//! - `schema`: the tables and their versions; `failure`: what SQLite's errors mean

mod attachments;
mod checks;
mod clock;
mod details;
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
