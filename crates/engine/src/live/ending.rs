//! The end of a lap, derived before its last events are stored.

use quilt::Event;

use super::batch::LiveBatch;
use crate::journal::Ending;

/// The maximum number of squares of a batch whose state is copied for this.
const MAX_COPIED: u32 = 4_096;

impl LiveBatch {
    /// The final summary after some more events, if they end the lap. `None` also for large batches, whose state is too large to copy.
    pub(crate) fn ending(&self, events: &[Event]) -> Option<Ending> {
        let folded = self.folded();
        let progress = folded.quilt.progress();
        let settled: usize = events.iter().map(settlements).sum();
        if progress.tasks > MAX_COPIED || (progress.pending() as usize) > settled {
            return None;
        }
        let (mut quilt, mut stats) = (folded.quilt.clone(), folded.stats.clone());
        let after = folded.sequence;
        drop(folded);
        let mut changes = Vec::new();
        for event in events {
            changes.clear();
            quilt.apply(event, &mut changes);
            stats.apply(&quilt, event, &changes);
        }
        quilt.status().is_over().then(|| Ending {
            after,
            lap: quilt.lap_number(),
            summary: quilt.summary(),
            receipts: stats.receipts().to_vec(),
        })
    }
}

fn settlements(event: &Event) -> usize {
    match event {
        Event::Settled { settlements, .. } => settlements.len(),
        _ => 0,
    }
}
