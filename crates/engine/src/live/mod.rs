//! Batches that are being followed: folded from their journal and kept in memory as long as someone holds them.
//!
//! # Layout
//!
//! - [`LiveBatch`]: one of them, and [`Viewer`], who looks at it
//! - [`BatchState`]: how it stands
//! - `frames`: what its viewers are sent; `attempt_buffer`: the attempts among it
//! - `batches`: all that are in memory; `unused`: those that stay for a while though nobody holds them

mod attempt_buffer;
mod batch;
mod batch_state;
mod batches;
mod frames;
mod unused;

pub(crate) use self::batch::{Gate, Pending};
pub use self::batch::{LiveBatch, Viewer};
pub use self::batch_state::BatchState;
pub(crate) use self::batches::LiveBatches;
pub use self::frames::{Messages, Next, split};
