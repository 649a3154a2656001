//! The types of the HTTP API: what the server writes and its clients read, and the other way round.
//!
//! Plain data, with no dependency but serde: the server, the page in the browser, the command line tools and any other client use the same
//! types, so a member that is renamed is a compile error in all of them. What a request may ask for is checked elsewhere, where the limits
//! are known.
//!
//! Documents of the server ignore members that they do not know, so that an older client can read a newer server. Requests refuse them, so
//! that a misspelled one is not ignored.
//!
//! # Layout
//!
//! - [`batch`]: a batch, the list of them, changes to one
//! - [`square`]: a square with its attempts
//! - [`event`]: the server-sent events of a batch
//! - [`result`]: the results of a batch, a line for each square
//! - [`receipt`]: what is left of a lap at its finish line
//! - [`launch`]: what a client sends to launch a batch, or a lap of one
//! - [`problem`]: why a request was refused
//!
//! # Conventions
//!
//! - Rows, columns and indices count from 0; laps and attempts from 1.
//! - Points in time are RFC 3339 text in UTC with milliseconds, such as `2026-09-21T14:13:20.123Z`. Durations are whole milliseconds.
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
