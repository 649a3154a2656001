//! The state of a viewer of a batch.
//!
//! This crate is pure: it has no I/O, clock or browser API. The page, `quilt watch` and the painters share it, and its tests run natively.
//!
//! # Layout
//!
//! - [`viewer`]: folds the frames of a channel; [`dirty`]: the squares that have to be painted
//! - [`journal`]: the downloaded part of a journal; [`replay`]: folds it up to any time; [`timeline`]: the time of a replay, without idle times
//! - [`scene`]: the input of the painters: a quilt, its attempts and a look
//! - [`look`]: what the colors of squares represent, and which squares are highlighted
//! - [`layout`]: where the squares are on the screen
//! - [`zoom`], [`gesture`], [`keys`]: the visible part of the quilt, and its control by pointers and keys
//! - [`chart`]: the race as axes, paths and values
//! - [`table`]: the results as rows that are loaded and rendered around the visible ones
//! - [`pace`]: the rate of settled tasks; [`backoff`]: delays of reconnects
//! - [`connection`]: the state of the connection; [`condition`]: the state of a batch in one word
//! - [`words`], [`format`](mod@format): headlines, labels, numbers and durations
//! - [`address`]: the view as the query of an address

pub mod address;
pub mod backoff;
pub mod chart;
pub mod condition;
pub mod connection;
pub mod dirty;
pub mod format;
pub mod gesture;
pub mod journal;
pub mod keys;
pub mod layout;
pub mod look;
pub mod pace;
pub mod replay;
pub mod scene;
pub mod table;
pub mod timeline;
pub mod viewer;
pub mod words;
pub mod zoom;

pub use condition::Condition;
pub use connection::Connection;
pub use dirty::Dirty;
pub use look::{ColorBy, Look, Paint, TaskState};
pub use pace::{Pace, Samples};
pub use replay::Replay;
pub use scene::{MAX_ELEMENTS, Scene};
pub use table::Table;
pub use viewer::{Received, Viewer};
pub use zoom::Zoom;
