//! The backoff before a failed task is retried.

use std::time::Duration;

use rand::{Rng, RngExt};

/// The maximum delay before the second attempt. It doubles with each further attempt.
const BASE_DELAY: Duration = Duration::from_millis(100);

/// The limit of all delays.
const MAX_DELAY: Duration = Duration::from_secs(30);

/// The maximum delay after an attempt, counted from 1.
fn ceiling(attempt: u8) -> Duration {
    let doublings = u32::from(attempt.saturating_sub(1)).min(16);
    (BASE_DELAY * 2_u32.pow(doublings)).min(MAX_DELAY)
}

/// The delay after a failed attempt: uniformly random up to an exponentially growing bound ("full jitter"), so that tasks that failed
/// together are not retried together.
pub(crate) fn after(attempt: u8, random: &mut impl Rng) -> Duration {
    ceiling(attempt).mul_f64(random.random())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_cap() {
        let bounds: Vec<u128> = (1..=12).map(|attempt| ceiling(attempt).as_millis()).collect();
        assert_eq!(bounds, [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000, 30_000]);
        assert_eq!(ceiling(255), MAX_DELAY);
    }

    #[test]
    fn a_wait_is_within_its_bound_and_each_is_another_one() {
        let mut random = rand::rng();
        let waits: Vec<Duration> = (0..20).map(|_| after(3, &mut random)).collect();
        assert!(waits.iter().all(|wait| *wait <= ceiling(3)));
        assert!(waits.windows(2).any(|pair| pair[0] != pair[1]));
    }
}
