//! The domain of Quilt: what a batch is, and how its state follows from its journal.
//!
//! Everything here is pure. There is no I/O, no clock and no source of randomness, so the server,
//! every worker and the browser run the same code over the same events and agree on every square.
//!
//! # Layout
//!
//! - [`id`]: 128-bit names of batches and of their owners
//! - [`grid`]: rows, columns and the squares between them
//! - [`order`]: the order in which squares are run
//! - [`lap`]: which squares a lap runs, within which limits, and how it ended
//! - [`reasons`]: why squares failed, counted
//! - [`spec`]: what a batch is made of; [`request`]: from requests to specs, within limits; [`spec_error`]: why not
//! - [`event`]: what a journal holds
//! - [`state`]: [`Quilt`], the fold of a journal
//! - [`summary`]: what is said of a batch without its squares
//! - [`history`]: the changes of a quilt in the order in which they came, for whoever follows it
//! - [`race`]: who ran what, when and for how long, for viewers
//! - [`receipt`]: what is left of a lap at its finish line, and what is known of its attempts
//! - [`timestamp`]: points in time
//! - [`wire`]: events and frames as bytes

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
