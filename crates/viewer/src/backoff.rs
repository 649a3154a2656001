//! Delays of reconnects.

use std::time::Duration;

const MIN_DELAY: Duration = Duration::from_millis(250);
const MAX_DELAY: Duration = Duration::from_secs(10);

/// The delay before a reconnect after `failures` consecutive failures. It grows exponentially from 0.25 to 10 seconds. `random`, from 0 to
/// 1, reduces it by up to half, so that many pages do not reconnect at the same time.
#[must_use]
pub fn delay(failures: u32, random: f64) -> Duration {
    let full = (MIN_DELAY * 2_u32.pow(failures.min(8))).min(MAX_DELAY);
    full.mul_f64(1.0 - random.clamp(0.0, 1.0) / 2.0).max(MIN_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_from_a_quarter_of_a_second_to_ten() {
        let longest: Vec<u128> = (0..8).map(|failures| delay(failures, 0.0).as_millis()).collect();
        assert_eq!(longest, [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
        let shortest: Vec<u128> = (0..8).map(|failures| delay(failures, 1.0).as_millis()).collect();
        assert_eq!(shortest, [250, 250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]);
        assert_eq!(delay(u32::MAX, 0.0), MAX_DELAY);
    }
}
