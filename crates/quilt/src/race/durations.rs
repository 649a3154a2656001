//! The bins over durations of attempts.

/// How many bins there are over durations: for none, and then two for every doubling from 1 ms on.
pub const DURATION_BINS: usize = 48;

/// The place of a duration among [`Race::durations`](super::Race::durations).
#[must_use]
pub fn duration_bin(took_ms: u32) -> usize {
    match took_ms.checked_ilog2() {
        None => 0,
        Some(octave) => {
            // The upper half of an octave starts at its square root of two.
            let is_upper = u64::from(took_ms).pow(2) >= 1 << (2 * octave + 1);
            (1 + 2 * octave as usize + usize::from(is_upper)).min(DURATION_BINS - 1)
        }
    }
}

/// The shortest duration of a bin of [`Race::durations`](super::Race::durations), in milliseconds.
#[must_use]
pub fn duration_of_bin(bin: usize) -> u32 {
    match bin.checked_sub(1) {
        None => 0,
        Some(half) => {
            let power = f64::from(1_u32 << (half / 2).min(31));
            let factor = if half % 2 == 0 { 1.0 } else { std::f64::consts::SQRT_2 };
            (power * factor).ceil() as u32
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_bins_are_half_octaves() {
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 1_000].map(duration_bin), [0, 1, 3, 4, 5, 5, 6, 20]);
        for bin in 1..40 {
            let shortest = duration_of_bin(bin);
            if shortest > 4 {
                assert_eq!((duration_bin(shortest), duration_bin(shortest - 1)), (bin, bin - 1), "{shortest}");
            }
        }
        assert_eq!(duration_bin(u32::MAX), DURATION_BINS - 1);
    }
}
