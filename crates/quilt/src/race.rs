//! Statistics of attempts by worker and time.
//!
//! A [`Race`] folds the attempts of a journal for viewers, beside [`Quilt`](crate::Quilt). Its histograms have a fixed number of bins. The
//! bins double in width when the lap outgrows them, so memory does not depend on the duration of the lap.

mod durations;

use crate::event::{AttemptRun, Event, Offset};
use crate::order::Position;
use crate::timestamp::Timestamp;

pub use durations::{DURATION_BINS, duration_bin, duration_of_bin};

/// The number of bins over the time of a lap.
pub const BINS: usize = 128;

/// The last attempt at a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastAttempt {
    /// The index of its worker in [`Race::lanes`].
    pub lane: u16,
    /// The number of the attempt in its lap, from 1.
    pub number: u8,
    /// Whether the attempt succeeded.
    pub is_done: bool,
    /// Its duration in milliseconds.
    pub took_ms: u32,
    /// When it ended, in milliseconds from the start of the race's lap; [`EARLIER_LAP`] if it belongs to an earlier lap.
    pub ended_ms: u32,
}

/// The value of [`LastAttempt::ended_ms`] for attempts of earlier laps.
pub const EARLIER_LAP: u32 = u32::MAX;

/// The attempts of one worker in the current lap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// The worker's name.
    pub worker: Box<str>,
    /// The number of attempts.
    pub attempts: u32,
    /// The number of failed attempts.
    pub failed: u32,
    /// The number of attempts that ended in each bin of time.
    pub bins: [u32; BINS],
    /// How many of them failed.
    pub failed_bins: [u32; BINS],
}

impl Lane {
    fn new(worker: &str) -> Self {
        Self { worker: worker.into(), attempts: 0, failed: 0, bins: [0; BINS], failed_bins: [0; BINS] }
    }
}

/// The attempts of a batch, with statistics of the current lap.
///
/// Memory: 16 bytes per square after the first attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Race {
    tasks: u32,
    lap: u32,
    started_at: Timestamp,
    /// By position; `None` without an attempt.
    last: Vec<Option<LastAttempt>>,
    /// The number of squares whose last attempt failed.
    unsuccessful: u32,
    lanes: Vec<Lane>,
    bin_ms: u32,
    /// The number of squares that were first done in each bin of time.
    done: [u32; BINS],
    /// The number of attempts in each [`duration_bin`].
    durations: [u32; DURATION_BINS],
    /// The shortest and the longest of these attempts, in milliseconds.
    extremes: Option<(u32, u32)>,
    offset: Offset,
}

impl Race {
    /// Creates an empty race in lap 1.
    #[must_use]
    pub fn new(tasks: u32, started_at: Timestamp) -> Self {
        Self {
            tasks,
            lap: 1,
            started_at,
            last: Vec::new(),
            unsuccessful: 0,
            lanes: Vec::new(),
            bin_ms: 1,
            done: [0; BINS],
            durations: [0; DURATION_BINS],
            extremes: None,
            offset: Offset(0),
        }
    }

    /// Folds the next event of the journal.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::LapStarted { lap, at, .. } => self.start_lap(*lap, *at),
            Event::Attempted { lap, worker, runs } if *lap == self.lap => {
                let lane = self.lane_of(worker);
                for run in runs {
                    let ended_ms = self.take(lane, run);
                    self.remember(lane, run, ended_ms);
                }
            }
            // An attempt of an earlier lap updates only the last attempts of its squares.
            Event::Attempted { lap, worker, runs } if *lap < self.lap => {
                let lane = self.lane_of(worker);
                runs.iter().for_each(|run| self.remember(lane, run, EARLIER_LAP));
            }
            _ => {}
        }
    }

    /// Starts a lap. Resets the statistics, and keeps the last attempt of each square.
    pub fn start_lap(&mut self, lap: u32, at: Timestamp) {
        if lap > self.lap {
            let Self { tasks, offset, unsuccessful, .. } = *self;
            let mut last = std::mem::take(&mut self.last);
            last.iter_mut().flatten().for_each(|attempt| attempt.ended_ms = EARLIER_LAP);
            // Last attempts of earlier laps refer to lanes by index, so the lanes must remain.
            let mut lanes = std::mem::take(&mut self.lanes);
            lanes.iter_mut().for_each(|lane| *lane = Lane::new(&lane.worker));
            *self = Self { lap, last, lanes, unsuccessful, offset, ..Self::new(tasks, at) };
        }
    }

    /// The number of squares.
    #[must_use]
    pub fn tasks(&self) -> u32 {
        self.tasks
    }

    /// The number of events of the journal that were folded.
    #[must_use]
    pub fn offset(&self) -> Offset {
        self.offset
    }

    /// Sets the number of events of the journal that were folded or can be skipped.
    pub fn set_offset(&mut self, offset: Offset) {
        self.offset = offset;
    }

    /// The lap of [`Race::lanes`] and of the bins.
    #[must_use]
    pub fn lap(&self) -> u32 {
        self.lap
    }

    /// The start of that lap.
    #[must_use]
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// The last attempt at a task, in any lap.
    #[must_use]
    pub fn last_attempt(&self, position: Position) -> Option<LastAttempt> {
        self.last.get(position.0 as usize).copied().flatten()
    }

    /// The number of squares whose last attempt failed, including those that will be retried.
    #[must_use]
    pub fn unsuccessful(&self) -> u32 {
        self.unsuccessful
    }

    /// The workers, in the order of their first attempts.
    #[must_use]
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// The width of a bin of time, in milliseconds.
    #[must_use]
    pub fn bin_ms(&self) -> u32 {
        self.bin_ms
    }

    /// The number of squares that were first done in each bin of time.
    #[must_use]
    pub fn done(&self) -> &[u32; BINS] {
        &self.done
    }

    /// The number of attempts in each [`duration_bin`].
    #[must_use]
    pub fn durations(&self) -> &[u32; DURATION_BINS] {
        &self.durations
    }

    /// The shortest and the longest duration of this lap's attempts, in milliseconds.
    #[must_use]
    pub fn extremes(&self) -> Option<(u32, u32)> {
        self.extremes
    }

    /// The median time at which squares of this lap were done, in milliseconds after its start. `None` if no square is done.
    #[must_use]
    pub fn median_ms(&self) -> Option<u32> {
        let done: u32 = self.done.iter().sum();
        let half = done.div_ceil(2);
        let mut so_far = 0;
        let bin = self.done.iter().position(|count| {
            so_far += count;
            so_far >= half && so_far > 0
        })?;
        // The middle of the bin. Its width is at most 1/64 of the lap, or one millisecond.
        Some(bin as u32 * self.bin_ms + self.bin_ms / 2)
    }

    fn lane_of(&mut self, worker: &str) -> u16 {
        let known = self.lanes.iter().position(|lane| &*lane.worker == worker);
        let lane = known.unwrap_or_else(|| {
            if self.lanes.len() < usize::from(u16::MAX) {
                self.lanes.push(Lane::new(worker));
            }
            self.lanes.len() - 1
        });
        lane as u16
    }

    /// Counts a run of this lap and returns when it ended, in milliseconds from the lap's start.
    fn take(&mut self, lane: u16, run: &AttemptRun) -> u32 {
        let ended_at = run.started_at.plus_millis(run.took_ms.into());
        let ended_ms = u32::try_from(ended_at.millis_since(self.started_at)).unwrap_or(u32::MAX).min(EARLIER_LAP - 1);
        let bin = self.bin_of(ended_ms);
        let is_done = run.error.is_none();
        if let Some(lane) = self.lanes.get_mut(usize::from(lane)) {
            lane.attempts = lane.attempts.saturating_add(run.count);
            lane.failed = lane.failed.saturating_add(if is_done { 0 } else { run.count });
            add(&mut lane.bins, bin, run.count);
            add(&mut lane.failed_bins, bin, if is_done { 0 } else { run.count });
        }
        let (shortest, longest) = self.extremes.unwrap_or((run.took_ms, run.took_ms));
        self.extremes = Some((shortest.min(run.took_ms), longest.max(run.took_ms)));
        add(&mut self.durations, duration_bin(run.took_ms), run.count);
        let range = run.positions();
        let positions = range.start..range.end.min(self.tasks);
        let is_new = |position| !self.last_attempt(Position(position)).is_some_and(|before| before.is_done);
        let newly_done = if is_done { positions.filter(|position| is_new(*position)).count() as u32 } else { 0 };
        add(&mut self.done, bin, newly_done);
        ended_ms
    }

    /// Stores an attempt as the last one of its squares.
    fn remember(&mut self, lane: u16, run: &AttemptRun, ended_ms: u32) {
        if self.last.is_empty() {
            self.last = vec![None; self.tasks as usize];
        }
        let is_done = run.error.is_none();
        let range = run.positions();
        let last = LastAttempt { lane, number: run.number, is_done, took_ms: run.took_ms, ended_ms };
        for square in self.last.get_mut(range.start as usize..range.end.min(self.tasks) as usize).unwrap_or_default() {
            let was_done = square.is_some_and(|before| before.is_done);
            self.unsuccessful -= u32::from(square.is_some() && !was_done);
            self.unsuccessful += u32::from(!is_done);
            *square = Some(last);
        }
    }

    /// Returns the bin of a time. Widens all bins until the time fits.
    fn bin_of(&mut self, ms: u32) -> usize {
        while (ms / self.bin_ms) as usize >= BINS {
            self.bin_ms = self.bin_ms.saturating_mul(2);
            halve(&mut self.done);
            for lane in &mut self.lanes {
                halve(&mut lane.bins);
                halve(&mut lane.failed_bins);
            }
        }
        (ms / self.bin_ms) as usize
    }
}

fn add(bins: &mut [u32], place: usize, count: u32) {
    if let Some(bin) = bins.get_mut(place) {
        *bin = bin.saturating_add(count);
    }
}

/// Merges adjacent bins, so that the upper half becomes free.
fn halve(bins: &mut [u32; BINS]) {
    let mut joined = [0_u32; BINS];
    for (bin, pair) in joined.iter_mut().zip(bins.chunks(2)) {
        *bin = pair.iter().sum();
    }
    *bins = joined;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lap::LapSet;

    fn run(first: u32, count: u32, started_at: u64, took_ms: u32, error: Option<&str>) -> AttemptRun {
        AttemptRun {
            first: Position(first),
            count,
            number: 1,
            started_at: Timestamp(started_at),
            took_ms,
            error: error.map(Into::into),
        }
    }

    fn attempted(worker: &str, runs: Vec<AttemptRun>) -> Event {
        Event::Attempted { lap: 1, worker: worker.into(), runs }
    }

    #[test]
    fn tries_are_told_by_square_by_worker_and_by_time() {
        let mut race = Race::new(10, Timestamp(1_000));
        race.apply(&attempted("a", vec![run(0, 3, 1_000, 5, None)]));
        race.apply(&attempted("b", vec![run(3, 1, 1_010, 40, Some("no"))]));
        let tried = race.last_attempt(Position(2)).expect("it was tried");
        assert_eq!((tried.lane, tried.took_ms, tried.is_done, tried.ended_ms), (0, 5, true, 5));
        assert_eq!(race.last_attempt(Position(3)).map(|tried| tried.is_done), Some(false));
        assert_eq!(race.last_attempt(Position(4)), None);
        assert_eq!(race.unsuccessful(), 1);
        let lanes: Vec<_> = race.lanes().iter().map(|lane| (&*lane.worker, lane.attempts, lane.failed)).collect();
        assert_eq!(lanes, [("a", 3, 0), ("b", 1, 1)]);
        assert_eq!(race.done()[5], 3);
        assert_eq!(race.durations()[duration_bin(5)], 3);
        assert_eq!(race.extremes(), Some((5, 40)));
        let failed: Vec<_> = race.lanes().iter().map(|lane| lane.failed_bins.iter().sum::<u32>()).collect();
        assert_eq!(failed, [0, 1]);
        assert_eq!(race.lanes()[1].failed_bins[50], 1);
        assert_eq!(race.median_ms(), Some(5));
    }

    #[test]
    fn a_try_that_comes_twice_makes_a_square_done_once() {
        let mut race = Race::new(4, Timestamp(0));
        for _ in 0..2 {
            race.apply(&attempted("a", vec![run(0, 4, 0, 1, None)]));
        }
        assert_eq!(race.done().iter().sum::<u32>(), 4);
    }

    #[test]
    fn bins_get_longer_and_lose_nothing() {
        let mut race = Race::new(1_000, Timestamp(0));
        for position in 0..1_000 {
            race.apply(&attempted("a", vec![run(position, 1, u64::from(position) * 60, 1, None)]));
        }
        assert_eq!(race.bin_ms(), 512);
        assert_eq!(race.done().iter().sum::<u32>(), 1_000);
        assert_eq!(race.lanes()[0].bins.iter().sum::<u32>(), 1_000);
        let median = race.median_ms().expect("half are done");
        assert!((29_000..31_000).contains(&median), "{median}");
    }

    #[test]
    fn a_lap_starts_a_race_of_its_own() {
        let mut race = Race::new(4, Timestamp(0));
        race.apply(&attempted("a", vec![run(0, 1, 0, 9, Some("no"))]));
        race.apply(&Event::LapStarted { lap: 2, at: Timestamp(5_000), set: LapSet::Failed, limits: None });
        // An attempt of an earlier lap updates its square, but not the statistics.
        race.apply(&attempted("a", vec![run(1, 1, 1, 4, None)]));
        let late = race.last_attempt(Position(1)).map(|tried| (tried.took_ms, tried.ended_ms));
        assert_eq!(late, Some((4, EARLIER_LAP)));
        assert_eq!(race.last_attempt(Position(0)).map(|tried| tried.ended_ms), Some(EARLIER_LAP));
        assert_eq!(race.extremes(), None);
        assert_eq!(race.lanes().iter().map(|lane| lane.attempts).sum::<u32>(), 0);
        assert_eq!((race.median_ms(), race.unsuccessful()), (None, 1));
        assert_eq!(race.last_attempt(Position(0)).map(|tried| tried.took_ms), Some(9));
        race.apply(&Event::Attempted { lap: 2, worker: "b".into(), runs: vec![run(0, 1, 5_000, 3, None)] });
        let tried = race.last_attempt(Position(0)).map(|tried| (tried.took_ms, tried.ended_ms));
        assert_eq!(tried, Some((3, 3)));
        assert_eq!(race.done().iter().sum::<u32>(), 1);
    }

    #[test]
    fn what_cannot_be_is_taken_without_panic() {
        let mut race = Race::new(3, Timestamp(9));
        race.apply(&attempted("a", vec![run(2, u32::MAX, 0, u32::MAX, None), run(u32::MAX, 5, u64::MAX, 7, None)]));
        assert_eq!(race.last_attempt(Position(2)).map(|tried| tried.is_done), Some(true));
    }
}
