//! The rate at which squares settle.

use std::collections::VecDeque;

use quilt::Timestamp;

/// The duration over which the rate is measured, in milliseconds.
const WINDOW_MS: u64 = 10_000;

/// The minimum duration of a measurement, in milliseconds. Shorter ones are too noisy.
const MIN_ELAPSED_MS: u64 = 300;

/// The number of parts of the window, from which the variation of the rate is measured.
const WINDOW_PARTS: u64 = 4;

/// Settled squares per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Over the whole window.
    pub rate: f64,
    /// In the slowest part of the window.
    pub slowest: f64,
    /// In the fastest part of the window.
    pub fastest: f64,
}

/// Recent numbers of settled squares, with their times.
#[derive(Debug, Default)]
pub struct Samples {
    samples: VecDeque<(Timestamp, u32)>,
}

impl Samples {
    /// Adds the current number of settled squares. Returns the rate, if it can be measured.
    pub fn sample(&mut self, now: Timestamp, settled: u32) -> Option<Pace> {
        if self.samples.back().is_some_and(|(_, before)| settled < *before) {
            // Failed squares are pending again, so a new lap has started.
            self.samples.clear();
        }
        self.samples.push_back((now, settled));
        while self.samples.get(1).is_some_and(|(at, _)| now.millis_since(*at) >= WINDOW_MS) {
            self.samples.pop_front();
        }
        let first = *self.samples.front()?;
        let elapsed = now.millis_since(first.0);
        if elapsed < MIN_ELAPSED_MS {
            return None;
        }
        let rate = per_second(first, (now, settled));
        let mut pace = Pace { rate, slowest: rate, fastest: rate };
        let mut start = first;
        for sample in self.samples.iter().skip(1) {
            if sample.0.millis_since(start.0) >= (elapsed / WINDOW_PARTS).max(MIN_ELAPSED_MS) {
                let rate = per_second(start, *sample);
                pace.slowest = pace.slowest.min(rate);
                pace.fastest = pace.fastest.max(rate);
                start = *sample;
            }
        }
        Some(pace)
    }
}

fn per_second((from, before): (Timestamp, u32), (to, after): (Timestamp, u32)) -> f64 {
    f64::from(after - before) * 1_000.0 / to.millis_since(from).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(samples: &mut Samples, now: u64, settled: u32) -> Option<f64> {
        samples.sample(Timestamp(now), settled).map(|pace| pace.rate)
    }

    #[test]
    fn a_rate_is_that_of_the_last_seconds() {
        let mut samples = Samples::default();
        assert_eq!(rate(&mut samples, 0, 0), None);
        assert_eq!(rate(&mut samples, 500, 50), Some(100.0));
        for second in 1..=20 {
            rate(&mut samples, second * 1_000, 50);
        }
        assert_eq!(rate(&mut samples, 21_000, 50), Some(0.0));
    }

    #[test]
    fn a_new_lap_starts_anew() {
        let mut samples = Samples::default();
        rate(&mut samples, 0, 0);
        rate(&mut samples, 1_000, 100);
        assert_eq!(rate(&mut samples, 1_100, 90), None);
        assert_eq!(rate(&mut samples, 2_100, 100), Some(10.0));
    }

    #[test]
    fn a_rate_that_varies_says_so() {
        let mut samples = Samples::default();
        let mut pace = None;
        for tenth in 0..=80_u32 {
            let settled = if tenth <= 40 { tenth } else { 40 + (tenth - 40) * 9 };
            pace = samples.sample(Timestamp(u64::from(tenth) * 100), settled);
        }
        let Pace { rate, slowest, fastest } = pace.expect("long enough");
        assert_eq!((rate, slowest, fastest), (50.0, 10.0, 90.0));
    }
}
