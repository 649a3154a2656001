//! The state of a batch at any past time, folded from its journal.

use quilt::wire::{DecodeError, FramedEvent};
use quilt::{Event, Quilt, Timestamp};

use crate::dirty::Dirty;

/// A replay, which can seek to any time.
#[derive(Debug)]
pub struct Replay {
    journal: Vec<u8>,
    /// The offset of the next event in the journal.
    next: usize,
    quilt: Quilt,
    /// The requested time.
    until: Timestamp,
}

impl Replay {
    /// Starts at the launch. The journal is in the format of [`quilt::wire`].
    ///
    /// # Errors
    ///
    /// A [`DecodeError`] if the journal does not start with a launch.
    pub fn new(journal: Vec<u8>) -> Result<Self, DecodeError> {
        let mut rest = &*journal;
        let first = FramedEvent::take(&mut rest)?.ok_or(DecodeError::Truncated)?.decode()?;
        let Event::Launched(launched) = first else { return Err(DecodeError::OutOfRange("the first event")) };
        let next = journal.len() - rest.len();
        Ok(Self { until: launched.at, quilt: Quilt::new(launched), journal, next })
    }

    /// The quilt at the time reached.
    #[must_use]
    pub fn quilt(&self) -> &Quilt {
        &self.quilt
    }

    /// Sets the time that [`Replay::advance`] has to reach. Restarts at the launch if it is earlier.
    pub fn seek(&mut self, until: Timestamp, dirty: &mut Dirty) {
        if until < self.until
            && let Ok(start) = Self::new(std::mem::take(&mut self.journal))
        {
            *self = start;
            *dirty = Dirty::All;
        }
        self.until = until;
    }

    /// Folds up to `budget` bytes of the journal. Returns whether the time is reached.
    pub fn advance(&mut self, budget: usize, dirty: &mut Dirty) -> bool {
        let start = self.next;
        let mut changes = Vec::new();
        while self.next < start + budget {
            let mut rest = self.journal.get(self.next..).unwrap_or_default();
            // A truncated journal ends here.
            let Ok(Some(event)) = FramedEvent::take(&mut rest) else { return true };
            if !event.is_attempts() {
                let Ok(event) = event.decode() else { return true };
                if at(&event).is_some_and(|at| at > self.until) {
                    return true;
                }
                changes.clear();
                self.quilt.apply(&event, &mut changes);
                dirty.extend(&changes, self.quilt.progress().tasks);
            }
            self.next = self.journal.len() - rest.len();
        }
        false
    }
}

/// The time of an event, if it contains one.
fn at(event: &Event) -> Option<Timestamp> {
    match event {
        Event::Launched(launched) => Some(launched.at),
        Event::Settled { at, .. }
        | Event::LapStarted { at, .. }
        | Event::Controlled { at, .. }
        | Event::Draining { at, .. }
        | Event::Cancelled { at, .. } => Some(*at),
        Event::Attempted { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use quilt::wire::put_framed_event;
    use quilt::{BatchSpec, Color, Grid, Launched, Outcome, Position, Settlement, WorkSpec};

    use super::*;

    fn replay() -> Replay {
        let work = WorkSpec { kind: "color".into(), parameters: serde_json::Map::new() };
        let spec = BatchSpec::new(work, Grid::new(2, 2).expect("small"), 1);
        let mut journal = Vec::new();
        put_framed_event(&mut journal, &Event::Launched(Launched::new(spec, Timestamp(100))));
        for position in 0..4 {
            let outcome = Outcome::Done(Color::from_rgb(position));
            let settlements = vec![Settlement { position: Position(position), outcome }];
            put_framed_event(
                &mut journal,
                &Event::Settled { lap: 1, at: Timestamp(u64::from(position) * 10 + 110), settlements },
            );
        }
        Replay::new(journal).expect("readable")
    }

    fn done_at(replay: &mut Replay, at: u64) -> u32 {
        let mut dirty = Dirty::All;
        replay.seek(Timestamp(at), &mut dirty);
        while !replay.advance(1, &mut dirty) {}
        replay.quilt().progress().done
    }

    #[test]
    fn every_moment_can_be_seen_again_in_any_order() {
        let mut replay = replay();
        let seen = [100, 125, 140, 109, 1_000, 110].map(|at| done_at(&mut replay, at));
        assert_eq!(seen, [0, 2, 4, 0, 4, 1]);
    }

    #[test]
    fn what_is_no_journal_is_an_error_and_what_is_cut_ends_early() {
        assert!(Replay::new(vec![3, 1, 2]).is_err());
        assert!(Replay::new(Vec::new()).is_err());
        let mut cut = replay();
        cut.journal.truncate(cut.journal.len() - 3);
        assert_eq!(done_at(&mut cut, 1_000), 3);
    }
}
