//! Batches that are being followed: folded from their journal and kept in memory as long as someone holds them.
//!
//! # Layout
//!
//! - [`LiveBatch`]: one of them, and [`Viewer`], who looks at it
//! - [`Folded`]: how it stands
//! - `frames`: what its viewers are sent; `recent`: the attempts among it
//! - `places`: the workers that run it
//! - `batches`: all of them, read once and let go of; `recently_used`: those that are kept a little longer

mod batch;
mod batches;
mod folded;
mod frames;
mod places;
mod recent;
mod recently_used;

pub(crate) use self::batch::{FOLD_PAUSE, Pending, RESUME_PAUSE, Turn};
pub use self::batch::{LiveBatch, Viewer};
pub(crate) use self::batches::LiveBatches;
pub use self::folded::Folded;
pub use self::frames::{Messages, Next, split};
pub(crate) use self::places::PLACE_PAUSE;
