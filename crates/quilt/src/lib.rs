//! The domain of Quilt: batches, and the fold of their journals.
//!
//! This crate is pure: it has no I/O, clock or source of randomness. The server, the workers and the browser run the same code on the same
//! events, so they compute the same squares.
//!
//! # Layout
//!
//! - [`id`]: 128-bit ids of batches and owners
//! - [`grid`]: rows, columns and squares
//! - [`order`]: the order in which squares run
//! - [`lap`]: laps with their squares, limits and ends
//! - [`reasons`]: the reasons for failures, with counts
//! - [`spec`]: the spec of a batch; [`request`]: validation of requests; [`spec_error`]: its errors
//! - [`event`]: the events of a journal
//! - [`state`]: [`Quilt`], the fold of a journal
//! - [`summary`]: a batch without its squares
//! - [`history`]: the changes of a quilt, for readers that follow it
//! - [`race`]: statistics of attempts by worker and time, for viewers
//! - [`receipt`]: statistics of attempts for nodes, and the receipt of a finished lap
//! - [`timestamp`]: points in time
//! - [`wire`]: the encoding of events and frames

mod cell;
pub mod color;
pub mod event;
pub mod grid;
pub mod history;
pub mod id;
pub mod lap;
pub mod number;
pub mod order;
mod priority;
pub mod race;
pub mod reasons;
pub mod receipt;
pub mod request;
pub mod spec;
pub mod spec_error;
mod square_state;
pub mod state;
pub mod summary;
pub mod timestamp;
pub mod wire;

pub use cell::ReasonId;
pub use color::Color;
pub use event::{AttemptRecord, AttemptRun, Control, Event, JournalVersion, Launched, Offset, Outcome, Settlement};
pub use grid::{Grid, Index, Square};
pub use history::History;
pub use id::{BatchId, OwnerId, ShareGroup};
pub use lap::{CancelCause, Lap, LapLimits, LapSet, Positions};
pub use order::{Order, Position, TaskOrder};
pub use priority::Priority;
pub use race::Race;
pub use reasons::short_reason;
pub use receipt::{LapStats, Receipt};
pub use request::Limits;
pub use spec::{BatchSpec, Halt, Tolerance, WorkSpec};
pub use spec_error::SpecError;
pub use square_state::SquareState;
pub use state::{Change, Quilt, Step};
pub use summary::{Progress, Status, Summary};
pub use timestamp::Timestamp;
