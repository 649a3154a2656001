//! State derived from the journal of a batch.

use quilt::{History, LapStats, Quilt, Receipt};

use super::attempt_buffer::AttemptBuffer;
use crate::journal::{EventPage, Offset, Sequence};

/// A quilt and everything else derived from the same events.
pub struct BatchState {
    /// The state.
    pub quilt: Quilt,
    /// The changes that led to it.
    pub history: History,
    /// Statistics of its attempts, and the receipts.
    pub stats: LapStats,
    /// The latest attempts.
    pub recent: AttemptBuffer,
    /// The number of events applied.
    pub offset: Offset,
    /// The sequence of the journal after these events.
    pub sequence: Sequence,
}

impl BatchState {
    pub(super) fn new(quilt: Quilt, receipts: Vec<Receipt>) -> Self {
        Self {
            history: History::new(&quilt),
            quilt,
            stats: LapStats::with_noted(receipts),
            recent: AttemptBuffer::default(),
            offset: Offset::default(),
            sequence: Sequence::default(),
        }
    }

    pub(super) fn apply(&mut self, page: &EventPage) {
        let mut changes = Vec::new();
        for event in &page.events {
            changes.clear();
            self.quilt.apply(event, &mut changes);
            self.history.record(&self.quilt, event, &changes);
            self.stats.apply(&self.quilt, event, &changes);
            self.recent.take(event);
        }
        self.offset.0 += page.events.len() as u64;
        self.sequence = page.sequence;
    }
}
