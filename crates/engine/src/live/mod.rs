//! Batches in memory. Their state is derived from the journal and updated until they are no longer used.
//!
//! # Layout
//!
//! - [`LiveBatch`]: one batch; [`Viewer`]: a viewer of it, which is counted
//! - [`BatchState`]: the state derived from its events
//! - `ending`: the end of a lap
//! - `frames`: the frames for its viewers; `attempt_buffer`: its latest attempts
//! - `batches`: all batches in memory; `unused`: keeps recently used batches in memory for a while

mod attempt_buffer;
mod batch;
mod batch_state;
mod batches;
mod ending;
mod frames;
mod unused;

pub(crate) use self::batch::{Gate, Pending};
pub use self::batch::{LiveBatch, Viewer};
pub use self::batch_state::BatchState;
pub(crate) use self::batches::LiveBatches;
pub use self::frames::{Messages, Next, split};
