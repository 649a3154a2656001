//! The end of a lap.

use quilt::{Receipt, Summary};

use super::sequence::Sequence;

/// The end of a lap with the events of one append, for [`EventLog::append_ending`](super::EventLog::append_ending).
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// The sequence of the journal before these events. If there are others in between, the rest does not apply.
    pub after: Sequence,
    /// The final summary of the batch, in the lap that ends.
    pub summary: Summary,
    /// The receipts of its laps.
    pub receipts: Vec<Receipt>,
}
