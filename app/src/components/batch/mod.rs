//! The parts of the page around the quilt: heading, controls, progress and finish banner.

mod banner;
mod confirm;
mod controls;
mod failures;
mod head;
mod help;
mod progress;
mod receipt;

pub(crate) use banner::Banner;
pub(crate) use controls::{CancelControl, Concurrency, Controls};
pub(crate) use failures::Failures;
pub(crate) use head::{BatchState, ConnectionState};
pub(crate) use help::Help;
pub(crate) use progress::{ProgressPanel, percent};
