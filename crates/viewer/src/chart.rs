//! The race as axes, SVG paths and values. Paths over time have a millisecond as their horizontal unit; heights are in thousandths.

use std::fmt::Write;

use quilt::Race;
use quilt::race::{BINS, Lane, duration_bin, duration_of_bin};

use crate::format;

/// The height of a path's box.
pub const HEIGHT: u32 = 1_000;

/// The maximum number of intervals between the ticks of an axis.
const MAX_INTERVALS: u64 = 4;

/// The distances between ticks, in milliseconds. Beyond the last one they are multiples of it.
const STEPS: [u64; 25] = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000,
    1_800_000, 3_600_000, 7_200_000, 21_600_000, 43_200_000, 86_400_000,
];

/// How high a worker's ticks are at most. What failed hangs from above, so that color is not the only difference.
const DONE_HEIGHT: f64 = 700.0;
const FAILED_HEIGHT: f64 = 450.0;

/// Round moments on an axis from 0 to `span_ms`.
#[must_use]
pub fn ticks(span_ms: u64) -> Vec<u64> {
    let [.., day] = STEPS;
    let step = STEPS.into_iter().find(|step| span_ms / step <= MAX_INTERVALS);
    let step = step.unwrap_or_else(|| day * span_ms.div_ceil(day * MAX_INTERVALS));
    (0..=span_ms / step).map(|tick| tick * step).collect()
}

/// Round durations on the axis of a histogram from bin `first` to bin `last`, each with its place in thousandths of the axis.
#[must_use]
pub fn duration_ticks(first: usize, last: usize) -> Vec<(u32, u64)> {
    let end = u64::from(duration_of_bin(last + 1));
    let bins = (last - first + 1) as f64;
    // From 1 ms on there are two bins for every doubling.
    let place = |ms: u64| 1.0 + 2.0 * (ms as f64).log10() / std::f64::consts::LOG10_2 - first as f64;
    let all: Vec<u64> = STEPS.into_iter().filter(|ms| *ms <= end && place(*ms) >= 0.0).collect();
    let every = all.len().div_ceil(MAX_INTERVALS as usize + 1).max(1);
    all.into_iter().step_by(every).map(|ms| ((place(ms) / bins * 1_000.0).min(1_000.0) as u32, ms)).collect()
}

/// A tick's label.
#[must_use]
pub fn tick_label(ms: u64) -> String {
    match ms {
        0 => "0".into(),
        _ if ms.is_multiple_of(3_600_000) => format!("{} h", ms / 3_600_000),
        _ if ms.is_multiple_of(60_000) => format!("{} min", ms / 60_000),
        _ if ms.is_multiple_of(1_000) => format!("{} s", ms / 1_000),
        1_000.. => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{ms} ms"),
    }
}

/// The number of squares done over time as a path, and at the end of the path.
#[must_use]
pub fn curve(race: &Race, span_ms: u32) -> (String, u32) {
    let total: u32 = race.done().iter().sum();
    let mut path = format!("M0 {HEIGHT}");
    let mut so_far = 0;
    for (bin, count) in race.done().iter().enumerate().filter(|(_, count)| **count > 0) {
        // The line is level up to this bin.
        let (start, end) = bin_range(race, bin);
        let (start, end) = (start.min(span_ms), end.min(span_ms));
        let (before, after) = (height(so_far, total), height(so_far + count, total));
        so_far += count;
        // Writing to a string cannot fail.
        let _ = write!(path, "L{start} {before}L{end} {after}");
    }
    let _ = write!(path, "H{span_ms}");
    (path, total)
}

/// How many squares were done this many milliseconds after the start of the lap.
#[must_use]
pub fn done_at(race: &Race, ms: u32) -> u32 {
    race.done().iter().take((ms / race.bin_ms()) as usize + 1).sum()
}

/// What the workers of a row did: a single worker, or all of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// How many workers it has.
    pub workers: u32,
    /// How many attempts they made.
    pub attempts: u32,
    /// How many of them failed.
    pub failed: u32,
    done_bins: [u32; BINS],
    failed_bins: [u32; BINS],
}

/// The node of a worker: its name is that of its node, a hyphen and a number.
#[must_use]
pub fn node_of(worker: &str) -> &str {
    worker.rsplit_once('-').map_or("", |(node, _)| node)
}

/// Whether a lane belongs to the row with this name: that of the worker, or that of its node with a hyphen behind it.
fn is_in_row(lane: &Lane, row: &str) -> bool {
    *lane.worker == *row || row.strip_suffix('-') == Some(node_of(&lane.worker))
}

impl Row {
    /// The row of this name: a worker's name, or the name of a node and a hyphen.
    #[must_use]
    pub fn of(race: &Race, name: &str) -> Self {
        let mut row = Self { workers: 0, attempts: 0, failed: 0, done_bins: [0; BINS], failed_bins: [0; BINS] };
        for lane in race.lanes().iter().filter(|lane| is_in_row(lane, name)) {
            row.workers += 1;
            row.attempts = row.attempts.saturating_add(lane.attempts);
            row.failed = row.failed.saturating_add(lane.failed);
            let sums = row.done_bins.iter_mut().zip(&mut row.failed_bins);
            for ((done, failed), (all, bad)) in sums.zip(lane.bins.iter().zip(&lane.failed_bins)) {
                *done = done.saturating_add(all.saturating_sub(*bad));
                *failed = failed.saturating_add(*bad);
            }
        }
        row
    }

    /// The attempts over time as two paths: those that succeeded, and those that failed.
    #[must_use]
    pub fn paths(&self, race: &Race) -> (String, String) {
        let most = self.done_bins.iter().chain(&self.failed_bins).copied().max().unwrap_or(1);
        let done = bars(race, &self.done_bins, most, DONE_HEIGHT, true);
        (done, bars(race, &self.failed_bins, most, FAILED_HEIGHT, false))
    }

    /// How many attempts ended at about this time of the lap, and how many of them failed.
    #[must_use]
    pub fn at(&self, race: &Race, ms: u32) -> (u32, u32) {
        let bin = (ms / race.bin_ms()) as usize;
        let count = |bins: &[u32; BINS]| bins.get(bin).copied().unwrap_or_default();
        let failed = count(&self.failed_bins);
        (failed.saturating_add(count(&self.done_bins)), failed)
    }
}

/// When the bin at this time of the lap starts and ends, in milliseconds.
#[must_use]
pub fn bin_around(race: &Race, ms: u32) -> (u32, u32) {
    bin_range(race, (ms / race.bin_ms()) as usize)
}

fn bin_range(race: &Race, bin: usize) -> (u32, u32) {
    let start = (bin as u32).saturating_mul(race.bin_ms());
    (start, start.saturating_add(race.bin_ms()))
}

/// The vertical place of a part of the whole.
fn height(part: u32, whole: u32) -> u32 {
    HEIGHT - (u64::from(part) * u64::from(HEIGHT - 20) / u64::from(whole.max(1))) as u32
}

/// A bar for each bin, on the ground or hanging from above.
fn bars(race: &Race, bins: &[u32; BINS], most: u32, height: f64, is_on_ground: bool) -> String {
    let mut path = String::new();
    for (bin, count) in bins.iter().enumerate().filter(|(_, count)| **count > 0) {
        // The square root keeps a single slow attempt visible beside many quick ones.
        let height = ((f64::from(*count) / f64::from(most.max(1))).sqrt() * height) as u32;
        let top = if is_on_ground { HEIGHT - height } else { 0 };
        let (width, (start, _)) = (race.bin_ms(), bin_range(race, bin));
        // Writing to a string cannot fail.
        let _ = write!(path, "M{start} {top}h{width}v{height}h-{width}z");
    }
    path
}

/// Attempts by duration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// A path whose horizontal unit is a hundredth of a bin.
    pub path: String,
    /// The first bin with an attempt.
    pub first: usize,
    /// The last bin with an attempt.
    pub last: usize,
    /// The number of attempts in the largest bin.
    pub most: u32,
}

impl Histogram {
    /// The histogram of a race's lap.
    #[must_use]
    pub fn of(race: &Race) -> Self {
        let (shortest, longest) = race.extremes().unwrap_or_default();
        let (first, last) = (duration_bin(shortest), duration_bin(longest));
        let bins = race.durations().get(first..=last).unwrap_or_default();
        let most = bins.iter().copied().max().unwrap_or_default();
        let mut path = String::new();
        for (place, count) in bins.iter().enumerate().filter(|(_, count)| **count > 0) {
            // A minimum height keeps small counts visible.
            let top = height(*count, most).min(HEIGHT - 15);
            // Writing to a string cannot fail.
            let _ = write!(path, "M{} {top}h90V{HEIGHT}h-90z", place * 100 + 5);
        }
        Self { path, first, last, most }
    }

    /// The width of the path's box.
    #[must_use]
    pub fn width(&self) -> usize {
        (self.last - self.first + 1) * 100
    }

    /// What there is at a place in thousandths of the axis: a range of durations, and how many attempts took so long.
    #[must_use]
    pub fn value_at(&self, race: &Race, place: u32) -> String {
        let bin = self.first + place as usize * (self.last - self.first + 1) / 1_000;
        let bin = bin.min(self.last);
        let count = race.durations().get(bin).copied().unwrap_or_default();
        let duration = |bin| format::duration(duration_of_bin(bin).into());
        format!("{} to {}: {}", duration(bin), duration(bin + 1), attempts(count))
    }
}

/// `1 attempt`, `2 attempts`.
#[must_use]
pub fn attempts(count: u32) -> String {
    format!("{} {}", format::count(count), if count == 1 { "attempt" } else { "attempts" })
}

#[cfg(test)]
mod tests {
    use quilt::{AttemptRun, Event, Position, Timestamp};

    use super::*;

    fn race() -> Race {
        let mut race = Race::new(4, Timestamp(1_000));
        for (position, worker, started_at, took_ms, error) in
            [(0, "a-b-1", 1_000, 30, None), (1, "a-b-2", 1_000, 40, Some("no")), (2, "c-1", 1_020, 40, None)]
        {
            let started_at = Timestamp(started_at);
            let error = error.map(Into::into);
            let run = AttemptRun { first: Position(position), count: 1, number: 1, started_at, took_ms, error };
            race.apply(&Event::Attempted { lap: 1, worker: worker.into(), runs: vec![run] });
        }
        race
    }

    #[test]
    fn axes_have_a_few_round_ticks() {
        let labels = |span| ticks(span).into_iter().map(tick_label).collect::<Vec<_>>();
        assert_eq!(labels(0), ["0"]);
        assert_eq!(labels(327), ["0", "100 ms", "200 ms", "300 ms"]);
        assert_eq!(labels(1_400), ["0", "500 ms", "1 s"]);
        assert_eq!(labels(2_900), ["0", "1 s", "2 s"]);
        assert_eq!(labels(100_000), ["0", "30 s", "1 min", "90 s"]);
        assert_eq!(labels(1_700), ["0", "500 ms", "1 s", "1.5 s"]);
        assert_eq!(labels(4 * 3_600_000), ["0", "1 h", "2 h", "3 h", "4 h"]);
        for span in [1, 7, 86_400_000 * 400, u64::from(u32::MAX)] {
            assert!(ticks(span).len() <= MAX_INTERVALS as usize + 1, "{span}");
        }
    }

    #[test]
    fn durations_have_a_logarithmic_axis() {
        let ticks = duration_ticks(duration_bin(100), duration_bin(1_900));
        assert_eq!(ticks.iter().map(|(_, ms)| *ms).collect::<Vec<_>>(), [100, 200, 500, 1_000, 2_000]);
        let places: Vec<u32> = ticks.into_iter().map(|(place, _)| place).collect();
        assert!(places.is_sorted() && places.iter().all(|place| *place <= 1_000), "{places:?}");
        assert_eq!(duration_ticks(0, 0), [(1_000, 1)]);
        assert!(duration_ticks(0, 40).len() <= MAX_INTERVALS as usize + 1);
    }

    #[test]
    fn a_curve_starts_and_ends_with_the_axis() {
        let (path, total) = curve(&race(), 64);
        assert_eq!(total, 2);
        assert_eq!(path, "M0 1000L30 1000L31 510L60 510L61 20H64");
        assert_eq!([0, 29, 30, 59, 60, 900].map(|ms| done_at(&race(), ms)), [0, 0, 1, 1, 2, 2]);
    }

    #[test]
    fn a_row_is_a_worker_or_a_node() {
        let race = race();
        let counts = |name| {
            let row = Row::of(&race, name);
            (row.workers, row.attempts, row.failed)
        };
        assert_eq!(counts("a-b-1"), (1, 1, 0));
        assert_eq!(counts("a-b-"), (2, 2, 1));
        assert_eq!(counts("c-"), (1, 1, 0));
        assert_eq!(counts("a-"), (0, 0, 0));
        let node = Row::of(&race, "a-b-");
        assert_eq!((node.at(&race, 30), node.at(&race, 40), node.at(&race, 50)), ((1, 0), (1, 1), (0, 0)));
        assert_eq!(node.paths(&race), ("M30 300h1v700h-1z".into(), "M40 0h1v450h-1z".into()));
    }

    #[test]
    fn a_histogram_covers_the_durations_that_there_were() {
        let race = race();
        let histogram = Histogram::of(&race);
        assert_eq!((histogram.first, histogram.last, histogram.most), (duration_bin(30), duration_bin(40), 2));
        assert_eq!(histogram.value_at(&race, 0), "23 ms to 32 ms: 1 attempt");
        assert_eq!(histogram.value_at(&race, 1_000), "32 ms to 46 ms: 2 attempts");
        assert_eq!(Histogram::of(&Race::new(4, Timestamp(0))).width(), 100);
    }
}
