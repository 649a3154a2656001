//! The latest attempts of a batch, buffered for viewers that follow it.

use std::collections::VecDeque;

use quilt::{Event, Offset};

/// Approximate capacity in bytes. Viewers that are further behind read the journal.
const MAX_BYTES: usize = 256 * 1024;

/// Attempts in journal order, each with the number of events in the journal up to and including it.
#[derive(Default)]
pub struct AttemptBuffer {
    /// The buffer holds every attempt after this offset.
    after: Offset,
    upto: Offset,
    events: VecDeque<(Offset, Event)>,
    bytes: usize,
}

impl AttemptBuffer {
    /// Adds the next event of the journal.
    pub(super) fn take(&mut self, event: &Event) {
        self.upto.0 += 1;
        // Lap starts are buffered too, so that viewers can assign each attempt to its lap.
        if let Event::Attempted { .. } | Event::LapStarted { .. } = event {
            self.bytes += size(event);
            self.events.push_back((self.upto, event.clone()));
        }
        while self.bytes > MAX_BYTES {
            let Some((offset, event)) = self.events.pop_front() else { break };
            self.bytes -= size(&event);
            self.after = offset;
        }
    }

    /// Returns the attempts after an offset, with the first and the last offset that they cover. If `after` is no longer buffered, the
    /// range starts later.
    #[must_use]
    pub fn since(&self, after: Offset) -> (Offset, Offset, Vec<Event>) {
        let after = after.max(self.after).min(self.upto);
        let first = self.events.partition_point(|(offset, _)| *offset <= after);
        (after, self.upto, self.events.range(first..).map(|(_, event)| event.clone()).collect())
    }
}

/// Approximate size of an event in memory, in bytes.
fn size(event: &Event) -> usize {
    match event {
        Event::Attempted { runs, .. } => {
            let reasons = runs.iter().filter_map(|run| run.error.as_ref()).map(|error| error.len()).sum::<usize>();
            64 + runs.len() * 64 + reasons
        }
        _ => 64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quilt::{AttemptRun, LapSet, Position, Timestamp};

    fn attempted(runs: usize) -> Event {
        let run =
            AttemptRun { first: Position(0), count: 1, number: 1, started_at: Timestamp(1), took_ms: 1, error: None };
        Event::Attempted { lap: 1, worker: "worker-1".into(), runs: vec![run; runs] }
    }

    #[test]
    fn what_came_since_is_told_and_nothing_else() {
        let mut recent = AttemptBuffer::default();
        let lap = Event::LapStarted { lap: 2, at: Timestamp(1), set: LapSet::Failed, limits: None };
        for event in [&attempted(1), &lap, &attempted(2)] {
            recent.take(event);
        }
        assert_eq!(recent.since(Offset(0)), (Offset(0), Offset(3), vec![attempted(1), lap.clone(), attempted(2)]));
        assert_eq!(recent.since(Offset(1)), (Offset(1), Offset(3), vec![lap, attempted(2)]));
        assert_eq!(recent.since(Offset(3)), (Offset(3), Offset(3), vec![]));
        assert_eq!(recent.since(Offset(9)), (Offset(3), Offset(3), vec![]));
    }

    #[test]
    fn who_is_too_far_behind_is_told_from_where_it_is_kept() {
        let mut recent = AttemptBuffer::default();
        for _ in 0..100 {
            recent.take(&attempted(100));
        }
        let (after, upto, events) = recent.since(Offset(0));
        assert_eq!(upto, Offset(100));
        assert!(after > Offset(0));
        assert_eq!(after.0 + events.len() as u64, 100);
        assert!(recent.bytes <= MAX_BYTES);
    }
}
