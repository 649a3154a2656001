//! The state of a batch at any past time, folded from its journal.

use quilt::wire::{DecodeError, FramedEvent};
use quilt::{AttemptRun, Event, Position, Quilt, Race, Timestamp};

use crate::dirty::Dirty;
use crate::timeline::Timeline;

/// The length of a replay at its initial speed, in milliseconds. It is at most two and a half times shorter.
const INITIAL_REPLAY_MS: u64 = 8_000;

/// The speeds to choose from, in thousandths of the batch's speed.
const SPEEDS: [u32; 24] = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
    1_000_000, 2_000_000, 5_000_000, 10_000_000, 20_000_000, 50_000_000,
];

/// The speed of a batch itself, in thousandths.
pub const REAL_TIME: u32 = 1_000;

/// A replay, which can seek to any time.
#[derive(Debug)]
pub struct Replay {
    /// Where the journal continues after the folded part.
    next: usize,
    quilt: Quilt,
    race: Race,
    launched_at: Timestamp,
    timeline: Timeline,
    moment: Timestamp,
    /// The requested moment; `None` for the end of the journal.
    until: Option<Timestamp>,
}

impl Replay {
    /// Starts at the launch.
    ///
    /// # Errors
    ///
    /// Returns a [`DecodeError`] for a journal that does not begin with a launch.
    pub fn new(journal: &[u8], timeline: Timeline) -> Result<Self, DecodeError> {
        let mut rest = journal;
        let first = FramedEvent::take(&mut rest)?.ok_or(DecodeError::Truncated)?.decode()?;
        let Event::Launched(launched) = first else { return Err(DecodeError::OutOfRange("the first event")) };
        let next = journal.len() - rest.len();
        let launched_at = launched.at;
        let race = Race::new(launched.spec.grid.squares(), launched_at);
        Ok(Self {
            next,
            quilt: Quilt::new(launched),
            race,
            launched_at,
            timeline,
            moment: launched_at,
            until: Some(launched_at),
        })
    }

    /// The quilt at the time reached.
    #[must_use]
    pub fn quilt(&self) -> &Quilt {
        &self.quilt
    }

    /// The attempts that had ended at that moment.
    #[must_use]
    pub fn race(&self) -> &Race {
        &self.race
    }

    /// How long the replay is at the speed of the batch, in milliseconds.
    #[must_use]
    pub fn length_ms(&self) -> u64 {
        self.timeline.length_ms()
    }

    /// The time of the batch at the requested moment.
    #[must_use]
    pub fn moment(&self) -> Timestamp {
        self.moment
    }

    /// Moves to another moment, in milliseconds of the replay, for [`Replay::advance`] to reach. For an earlier moment the journal is
    /// folded again.
    pub fn seek(&mut self, journal: &[u8], ms: u64, dirty: &mut Dirty) {
        let moment = self.launched_at.plus_millis(self.timeline.time_at(ms));
        // The clocks of nodes differ, so at the end no event may be left out because of its time.
        let until = (ms < self.length_ms()).then_some(moment);
        let is_earlier = match (until, self.until) {
            (Some(until), Some(before)) => until < before,
            (until, before) => until.is_some() && before.is_none(),
        };
        if is_earlier && let Ok(start) = Self::new(journal, std::mem::take(&mut self.timeline)) {
            *self = start;
            *dirty = Dirty::All;
        }
        self.until = until;
        self.moment = moment;
    }

    /// Folds up to `budget` bytes of the journal and returns whether the moment is reached.
    pub fn advance(&mut self, journal: &[u8], budget: usize, dirty: &mut Dirty) -> bool {
        let start = self.next;
        let mut changes = Vec::new();
        while self.next < start + budget {
            let mut rest = journal.get(self.next..).unwrap_or_default();
            // A truncated journal ends here.
            let Ok(Some(event)) = FramedEvent::take(&mut rest) else { return true };
            let Ok(event) = event.decode() else { return true };
            if self.until.is_some_and(|until| at(&event) > Some(until)) {
                return true;
            }
            changes.clear();
            self.quilt.apply(&event, &mut changes);
            self.race.apply(&event);
            let tasks = self.quilt.progress().tasks;
            dirty.extend(&changes, tasks);
            if let Event::Attempted { runs, .. } = &event {
                dirty.extend_with(runs.iter().flat_map(AttemptRun::positions).map(Position), tasks);
            }
            self.next = journal.len() - rest.len();
        }
        false
    }
}

/// When an event happened, if it says so.
fn at(event: &Event) -> Option<Timestamp> {
    match event {
        Event::Launched(launched) => Some(launched.at),
        Event::Settled { at, .. }
        | Event::LapStarted { at, .. }
        | Event::Controlled { at, .. }
        | Event::Draining { at, .. }
        | Event::Cancelled { at, .. } => Some(*at),
        // Attempts are buffered for a frame, so they ended at about the same time.
        Event::Attempted { runs, .. } => runs.iter().map(|run| run.started_at.plus_millis(run.took_ms.into())).max(),
    }
}

/// The speed in thousandths at which a replay of `length_ms` takes about eight seconds.
#[must_use]
pub fn initial_speed(length_ms: u64) -> u32 {
    let wanted = length_ms / (INITIAL_REPLAY_MS / u64::from(REAL_TIME));
    let [.., fastest] = SPEEDS;
    SPEEDS.into_iter().find(|speed| u64::from(*speed) >= wanted).unwrap_or(fastest)
}

/// The speeds to offer: those around the initial one, and the speed of the batch itself.
pub fn speeds(initial: u32) -> impl Iterator<Item = u32> {
    let place = SPEEDS.into_iter().filter(|speed| *speed < initial).count();
    let near = place.saturating_sub(2)..place + 3;
    let all = SPEEDS.into_iter().enumerate();
    all.filter(move |(place, speed)| near.contains(place) || *speed == REAL_TIME).map(|(_, speed)| speed)
}

/// A speed as a factor, such as `0.5×`.
#[must_use]
pub fn speed_label(speed: u32) -> String {
    match speed / REAL_TIME {
        0 => {
            let decimals = format!("{speed:03}");
            format!("0.{}×", decimals.trim_end_matches('0'))
        }
        times => format!("{}×", crate::format::count(times)),
    }
}

#[cfg(test)]
mod tests {
    use quilt::wire::put_framed_event;
    use quilt::{BatchSpec, Color, Grid, Launched, Outcome, Settlement, WorkSpec};

    use super::*;
    use crate::timeline::Activity;

    /// Four squares that settle after 10, 20, 30 and 40 ms. Each runs for the 8 ms before.
    fn journal() -> Vec<u8> {
        let work = WorkSpec { kind: "color".into(), parameters: serde_json::Map::new() };
        let spec = BatchSpec::new(work, Grid::new(2, 2).expect("small"), 1);
        let mut journal = Vec::new();
        put_framed_event(&mut journal, &Event::Launched(Launched::new(spec, Timestamp(100))));
        for position in 0..4 {
            let at = Timestamp(u64::from(position) * 10 + 110);
            let run = AttemptRun {
                first: Position(position),
                count: 1,
                number: 1,
                started_at: Timestamp(at.0 - 8),
                took_ms: 8,
                error: None,
            };
            put_framed_event(&mut journal, &Event::Attempted { lap: 1, worker: "a-1".into(), runs: vec![run] });
            let outcome = Outcome::Done(Color::from_rgb(position));
            let settlements = vec![Settlement { position: Position(position), outcome }];
            put_framed_event(&mut journal, &Event::Settled { lap: 1, at, settlements });
        }
        journal
    }

    fn replay(journal: &[u8], length_ms: u64) -> Replay {
        Replay::new(journal, Timeline::new(&Activity::default(), length_ms)).expect("readable")
    }

    fn done_at(replay: &mut Replay, journal: &[u8], ms: u64) -> (u32, u32) {
        let mut dirty = Dirty::All;
        replay.seek(journal, ms, &mut dirty);
        while !replay.advance(journal, 1, &mut dirty) {}
        let attempts = replay.race().lanes().iter().map(|lane| lane.attempts).sum();
        (replay.quilt().progress().done, attempts)
    }

    #[test]
    fn every_moment_can_be_seen_again_in_any_order() {
        let journal = journal();
        let mut replay = replay(&journal, 40);
        let seen = [0, 25, 40, 9, 1_000, 10].map(|ms| done_at(&mut replay, &journal, ms));
        assert_eq!(seen, [0, 2, 4, 0, 4, 1].map(|count| (count, count)));
    }

    #[test]
    fn the_end_is_complete_although_the_clocks_of_nodes_differ() {
        let journal = journal();
        // The node that settled the last square was behind.
        let mut replay = replay(&journal, 35);
        assert_eq!(done_at(&mut replay, &journal, 34), (3, 3));
        assert_eq!(done_at(&mut replay, &journal, 35), (4, 4));
        assert_eq!(done_at(&mut replay, &journal, 34), (3, 3));
    }

    #[test]
    fn what_is_no_journal_is_an_error_and_what_is_cut_ends_early() {
        assert!(Replay::new(&[3, 1, 2], Timeline::default()).is_err());
        assert!(Replay::new(&[], Timeline::default()).is_err());
        let mut cut = journal();
        cut.truncate(cut.len() - 3);
        assert_eq!(done_at(&mut replay(&cut, 40), &cut, 1_000).0, 3);
    }

    #[test]
    fn a_replay_takes_some_seconds_at_a_round_speed() {
        assert_eq!([30, 2_900, 8_000, 64_000].map(initial_speed), [5, 500, 1_000, 10_000]);
        assert_eq!(speeds(500).collect::<Vec<_>>(), [100, 200, 500, 1_000, 2_000]);
        assert_eq!(speeds(1).collect::<Vec<_>>(), [1, 2, 5, 1_000]);
        assert_eq!(initial_speed(u64::MAX), 50_000_000);
        assert_eq!([5, 20, 500, 1_000, 2_000_000].map(speed_label), ["0.005×", "0.02×", "0.5×", "1×", "2,000×"]);
    }
}
