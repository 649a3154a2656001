//! The end of a lap: its final summary and receipts.

use quilt::{Event, LapStats, Quilt, Receipt, Summary};

use super::batch::LiveBatch;
use crate::journal::Ending;

/// The maximum number of squares of a batch whose state is copied to derive its end before it is stored.
const MAX_COPIED: u32 = 4_096;

impl LiveBatch {
    /// The final summary of the batch, and the receipts of its laps. `None` if it has not finished.
    pub(crate) fn final_summary(&self) -> Option<(Summary, Vec<Receipt>)> {
        let folded = self.folded();
        final_summary(&folded.quilt, &folded.stats)
    }

    /// The end of the lap with some more events. `None` if they do not end it, and for large batches, whose state is too large to copy.
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
        let (summary, receipts) = final_summary(&quilt, &stats)?;
        Some(Ending { after, summary, receipts })
    }
}

fn final_summary(quilt: &Quilt, stats: &LapStats) -> Option<(Summary, Vec<Receipt>)> {
    quilt.status().is_over().then(|| (quilt.summary(), stats.receipts().to_vec()))
}

fn settlements(event: &Event) -> usize {
    match event {
        Event::Settled { settlements, .. } => settlements.len(),
        _ => 0,
    }
}
