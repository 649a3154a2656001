//! What is folded from the journal of a batch.

use quilt::{History, LapStats, Quilt, Receipt};

use super::attempt_buffer::AttemptBuffer;
use crate::journal::{EventPage, Offset, Sequence};

/// A quilt with what else is folded from the same events, as far as it is folded.
pub struct BatchState {
    /// The state.
    pub quilt: Quilt,
    /// The changes that led to it.
    pub history: History,
    /// What is known of its attempts, and the receipts.
    pub stats: LapStats,
    /// The latest tries.
    pub recent: AttemptBuffer,
    /// How many events were folded.
    pub offset: Offset,
    /// How far the journal goes with them.
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
