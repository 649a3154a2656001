//! The quilt, its legend and tools, and the details of a square.

mod details;
mod legend;
mod readout;
mod replay;
mod stage;
mod toolbar;

pub(crate) use details::SquareDetails;
pub(crate) use legend::{Legend, Scale};
pub(crate) use readout::{NoticeLine, Readout};
pub(crate) use replay::ReplayControls;
pub(crate) use stage::QuiltGrid;
pub(crate) use toolbar::Toolbar;
