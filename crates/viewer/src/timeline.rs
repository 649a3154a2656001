//! The time of a batch without the time in which nothing ran, such as the days between two laps.
//!
//! All times are in milliseconds since the launch.

/// Idle times shorter than this do not count as such.
const MIN_IDLE_MS: u64 = 10;

/// The maximum number of intervals to remember. Above it, the shortest idle times are forgotten.
const MAX_INTERVALS: usize = 4_096;

/// A replay shows an idle time for at most this share of the time in which something ran.
const PAUSE_SHARE: u64 = 16;

/// When attempts ran.
#[derive(Debug, Clone)]
pub struct Activity {
    /// In order, with idle times between them.
    intervals: Vec<(u64, u64)>,
    min_idle_ms: u64,
}

impl Default for Activity {
    fn default() -> Self {
        Self { intervals: Vec::new(), min_idle_ms: MIN_IDLE_MS }
    }
}

impl Activity {
    /// Adds the time of an attempt.
    pub fn add(&mut self, from: u64, to: u64) {
        self.insert(from, to.max(from));
        while self.intervals.len() > MAX_INTERVALS {
            self.min_idle_ms = self.min_idle_ms.saturating_mul(2);
            for (from, to) in std::mem::take(&mut self.intervals) {
                self.insert(from, to);
            }
        }
    }

    fn insert(&mut self, from: u64, to: u64) {
        let idle = self.min_idle_ms;
        let first = self.intervals.partition_point(|(_, end)| end.saturating_add(idle) < from);
        let next = self.intervals.partition_point(|(start, _)| *start <= to.saturating_add(idle));
        // From `first` on, intervals overlap this one or almost do, up to `next`.
        if first >= next {
            return self.intervals.insert(first, (from, to));
        }
        let last_end = self.intervals.get(next - 1).map_or(to, |(_, end)| *end);
        if let Some((start, end)) = self.intervals.get_mut(first) {
            (*start, *end) = ((*start).min(from), last_end.max(to));
        }
        self.intervals.drain(first + 1..next);
    }
}

/// Maps the time of a replay to the time of its batch. Each idle time takes the same short pause.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    /// The idle times that are cut short, in order.
    idle: Vec<(u64, u64)>,
    pause_ms: u64,
    length_ms: u64,
}

impl Timeline {
    /// The timeline of a batch that ended after `length_ms`.
    #[must_use]
    pub fn new(activity: &Activity, length_ms: u64) -> Self {
        let busy = activity.intervals.iter().map(|(from, to)| ((*from).min(length_ms), (*to).min(length_ms)));
        let busy_ms: u64 = busy.clone().map(|(from, to)| to - from).sum();
        let ends = [0].into_iter().chain(busy.clone().map(|(_, to)| to));
        let starts = busy.map(|(from, _)| from).chain([length_ms]);
        let longest = busy_ms / PAUSE_SHARE;
        let is_cut = |(from, to): &(u64, u64)| busy_ms > 0 && to.saturating_sub(*from) > longest.max(MIN_IDLE_MS);
        let idle: Vec<(u64, u64)> = ends.zip(starts).filter(is_cut).collect();
        // Many pauses together take at most half as long as everything else.
        let pause_ms = longest.min(busy_ms / 2 / (idle.len() as u64).max(1));
        Self { idle, pause_ms, length_ms }
    }

    /// How long the replay is at the speed of the batch.
    #[must_use]
    pub fn length_ms(&self) -> u64 {
        let cut: u64 = self.idle.iter().map(|(from, to)| to - from - self.pause_ms).sum();
        self.length_ms - cut
    }

    /// The time of the batch after `ms` of the replay.
    #[must_use]
    pub fn time_at(&self, ms: u64) -> u64 {
        if ms >= self.length_ms() {
            return self.length_ms;
        }
        let mut cut = 0;
        for (from, to) in &self.idle {
            let pause_from = from - cut;
            if ms <= pause_from {
                break;
            }
            if ms < pause_from + self.pause_ms {
                let share = (ms - pause_from) as f64 / self.pause_ms as f64;
                return from + ((to - from) as f64 * share) as u64;
            }
            cut += to - from - self.pause_ms;
        }
        ms + cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activity(intervals: &[(u64, u64)]) -> Activity {
        let mut activity = Activity::default();
        intervals.iter().for_each(|(from, to)| activity.add(*from, *to));
        activity
    }

    #[test]
    fn intervals_that_overlap_or_almost_do_are_one() {
        let all = activity(&[(500, 600), (0, 100), (105, 200), (550, 900), (2_000, 2_000)]);
        assert_eq!(all.intervals, [(0, 200), (500, 900), (2_000, 2_000)]);
        let mut joined = all;
        joined.add(150, 1_995);
        assert_eq!(joined.intervals, [(0, 2_000)]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut activity = Activity::default();
        for number in 0..3 * MAX_INTERVALS as u64 {
            activity.add(number * 100, number * 100 + 1);
        }
        assert!(activity.intervals.len() <= MAX_INTERVALS);
        assert_eq!(activity.intervals.first().map(|(from, _)| *from), Some(0));
    }

    #[test]
    fn the_time_between_two_laps_is_a_short_pause() {
        // The second lap is a day after the first.
        let day = 86_400_000;
        let timeline = Timeline::new(&activity(&[(0, 2_800), (day, day + 840)]), day + 840);
        let pause = 3_640 / PAUSE_SHARE;
        assert_eq!(timeline.length_ms(), 3_640 + pause);
        assert_eq!(timeline.time_at(0), 0);
        assert_eq!(timeline.time_at(2_800), 2_800);
        assert_eq!(timeline.time_at(2_800 + pause), day);
        assert_eq!(timeline.time_at(2_900 + pause), day + 100);
        assert_eq!(timeline.time_at(u64::MAX), day + 840);
        let mut before = 0;
        for ms in 0..=timeline.length_ms() {
            let now = timeline.time_at(ms);
            assert!(now >= before, "{ms}");
            before = now;
        }
        assert_eq!(before, day + 840);
    }

    #[test]
    fn waiting_before_the_first_attempt_and_after_the_last_is_cut_as_well() {
        let timeline = Timeline::new(&activity(&[(60_000, 61_600)]), 90_000);
        assert_eq!(timeline.length_ms(), 1_600 + 2 * 100);
    }

    #[test]
    fn many_pauses_do_not_make_a_replay_long() {
        let laps: Vec<_> = (0..1_000).map(|lap| (lap * 60_000, lap * 60_000 + 100)).collect();
        let timeline = Timeline::new(&activity(&laps), 1_000 * 60_000);
        assert!(timeline.length_ms() <= 150_000, "{}", timeline.length_ms());
        assert!(timeline.time_at(timeline.length_ms()) == 1_000 * 60_000);
    }

    #[test]
    fn nothing_is_cut_where_little_or_nothing_ran() {
        assert_eq!(Timeline::new(&Activity::default(), 5_000).length_ms(), 5_000);
        let steady = Timeline::new(&activity(&[(0, 1_000), (1_050, 2_000)]), 2_000);
        assert_eq!((steady.length_ms(), steady.time_at(1_025)), (2_000, 1_025));
        let short = Timeline::new(&activity(&[(0, 5)]), 12);
        assert_eq!((short.length_ms(), short.time_at(12)), (12, 12));
        // Attempts that ended after the batch, and clocks that disagree.
        let late = Timeline::new(&activity(&[(0, 400), (900, 1_500)]), 1_000);
        assert_eq!(late.time_at(late.length_ms()), 1_000);
    }
}
