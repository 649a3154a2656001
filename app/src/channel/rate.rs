//! How fast squares settle.

use std::collections::VecDeque;

use quilt::Timestamp;

/// How far back a rate looks, in milliseconds.
const WINDOW: u64 = 3_000;

/// The shortest time from which a rate can be told, in milliseconds.
const MINIMUM: u64 = 250;

/// Counts of settled squares over the last seconds.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    samples: VecDeque<(Timestamp, u32)>,
}

#[cfg_attr(not(feature = "hydrate"), allow(dead_code, reason = "only a browser measures"))]
impl Rate {
    /// Notes how many squares are settled, and returns how many settle in a second, once that can be told.
    pub(crate) fn sample(&mut self, now: Timestamp, settled: u32) -> Option<f64> {
        if self.samples.back().is_some_and(|(_, before)| settled < *before) {
            // Failed squares were put back: a new lap.
            self.samples.clear();
        }
        self.samples.push_back((now, settled));
        while self.samples.get(1).is_some_and(|(at, _)| now.millis_since(*at) >= WINDOW) {
            self.samples.pop_front();
        }
        let (first_at, first) = *self.samples.front()?;
        let elapsed = now.millis_since(first_at);
        (elapsed >= MINIMUM).then(|| f64::from(settled - first) * 1_000.0 / elapsed as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_seconds() {
        let mut rate = Rate::default();
        assert_eq!(rate.sample(Timestamp(0), 0), None);
        assert_eq!(rate.sample(Timestamp(500), 50), Some(100.0));
        for second in 1..=20 {
            rate.sample(Timestamp(second * 1_000), 50);
        }
        assert_eq!(rate.sample(Timestamp(21_000), 50), Some(0.0));
    }

    #[test]
    fn a_new_lap_starts_anew() {
        let mut rate = Rate::default();
        rate.sample(Timestamp(0), 0);
        rate.sample(Timestamp(1_000), 100);
        assert_eq!(rate.sample(Timestamp(1_100), 90), None);
        assert_eq!(rate.sample(Timestamp(2_100), 100), Some(10.0));
    }
}
