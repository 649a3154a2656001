//! What a viewer of a batch knows and sees.
//!
//! Pure: no I/O, no clock, no browser. The page, `quilt watch` and the painters share it, and its tests run natively.
//!
//! # Layout
//!
//! - [`viewer`]: folds the frames of a channel and notes which squares have to be painted; [`dirty`] is that note
//! - [`journal`]: the downloaded part of a journal; [`replay`]: folds it up to any moment; [`timeline`]: a replay's time, without idle times
//! - [`scene`]: what a painter draws: a quilt, its attempts and a look
//! - [`look`]: which value the color of a square shows, and which squares stand out
//! - [`zoom`], [`gesture`], [`keys`]: which part of the quilt is visible, and how pointers and arrow keys change it
//! - [`chart`]: the race as axes, paths and values
//! - [`table`]: the results as sorted, filtered rows, of which a window is rendered
//! - [`pace`]: how fast tasks finish; [`backoff`]: when to reconnect
//! - [`connection`]: what is known of the connection
//! - [`words`], [`format`](mod@format): headlines, labels, numbers and durations for people
//! - [`address`]: the view as the query of an address

pub mod address;
pub mod backoff;
pub mod chart;
pub mod connection;
pub mod dirty;
pub mod format;
pub mod gesture;
pub mod journal;
pub mod keys;
pub mod look;
pub mod pace;
pub mod replay;
pub mod scene;
pub mod table;
pub mod timeline;
pub mod viewer;
pub mod words;
pub mod zoom;

pub use connection::Connection;
pub use dirty::Dirty;
pub use look::{ColorBy, Look, Paint, TaskState};
pub use pace::{Pace, Samples};
pub use replay::Replay;
pub use scene::{MAX_ELEMENTS, Scene};
pub use table::Table;
pub use viewer::{Received, Viewer};
pub use zoom::Zoom;
