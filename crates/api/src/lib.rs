//! The types of the HTTP API, for the server and its clients.
//!
//! This crate contains only data types and depends only on serde. The server, the page and the command-line tools use the same types, so
//! that renaming a member causes compile errors in all of them. The server validates requests, because only it knows the limits.
//!
//! Deserializing a response ignores unknown members, so that older clients work with newer servers. Deserializing a request rejects them,
//! so that misspelled members are not ignored.
//!
//! # Layout
//!
//! - [`batch`]: batches, lists of batches, and changes of batches
//! - [`square`]: a square with its attempts
//! - [`event`]: the server-sent events of a batch
//! - [`result`]: the results of a batch, one line per square
//! - [`receipt`]: receipts of finished laps
//! - [`launch`]: requests that launch a batch or a lap
//! - [`problem`]: refused requests
//!
//! # Conventions
//!
//! - Rows, columns and indices start at 0; laps and attempts at 1.
//! - Times are RFC 3339 text in UTC with milliseconds, such as `2026-09-21T14:13:20.123Z`. Durations are integers in milliseconds.
//! - Ids of batches are 32 hexadecimal digits.

pub mod batch;
pub mod event;
pub mod launch;
pub mod problem;
pub mod receipt;
pub mod result;
pub mod square;

#[cfg(test)]
mod testing;

pub use batch::{
    BatchChanges, BatchDocument, BatchList, BatchStatus, CancelCause, CancelQuery, ListQuery, ReasonCount, ReasonList,
};
pub use event::{BatchEvent, ConcurrencyEvent, EventStatus, LapEvent, LapSet, SquareEvent, StatusEvent};
pub use launch::{LapRequest, LaunchRequest, Number, WorkSpec};
pub use problem::ProblemDocument;
pub use receipt::{JournalQuery, LastAcross, ReceiptDocument, ReceiptQuery, SlowTask};
pub use result::{
    DEFAULT_PAGE_ROWS, MAX_PAGE_ROWS, ResultFormat, ResultLine, ResultPage, ResultSort, ResultsQuery, SortOrder,
};
pub use square::{Attempt, Square, SquareDocument, TaskState, Waiting, WaitingFor};
