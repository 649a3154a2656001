//! How long a lease should be, and how many should run, learned from how the tasks before went.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// How much work a lease should hold.
pub(crate) const LEASE_TIME: Duration = Duration::from_millis(50);

/// The longest stride, which bounds the size of one journal entry and how much is run again after a crash.
pub(crate) const MAX_STRIDE: u32 = 8_192;

/// A running mean of the time that a task of one batch takes. Until there is one, a lease is one task long,
/// so that slow tasks spread over all workers at once.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Nanoseconds a task; 0 until the first measurement.
    mean: AtomicU64,
    /// Whether no task of the last lease had to be waited for.
    computes: AtomicBool,
    /// How many tasks are waited for at this moment.
    waiting: AtomicU32,
}

/// Counts a task as one that is waited for until it is dropped.
pub(crate) struct Waiting<'a>(&'a AtomicU32);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pace {
    /// Takes account of `tasks` that were run one after the other in `elapsed`, and of whether one of them had to be waited for.
    pub(crate) fn measured(&self, tasks: u32, elapsed: Duration, has_waited: bool) {
        if tasks == 0 {
            return;
        }
        self.computes.store(!has_waited, Ordering::Relaxed);
        let sample = (elapsed.as_nanos() / u128::from(tasks)).clamp(1, u128::from(u64::MAX / 4)) as u64;
        let mean = match self.mean.load(Ordering::Relaxed) {
            0 => sample,
            mean => (3 * mean + sample) / 4,
        };
        // Two workers may measure at once and one sample get lost; it is a mean.
        self.mean.store(mean, Ordering::Relaxed);
    }

    /// Whether the tasks keep a processor busy all their time, so that more of them at once than there are processors are of no use.
    pub(crate) fn computes(&self) -> bool {
        // One that is waited for at this moment is proof of the contrary.
        self.computes.load(Ordering::Relaxed) && self.waiting.load(Ordering::Relaxed) == 0
    }

    /// Takes account of a task that has to be waited for.
    pub(crate) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(&self.waiting)
    }

    /// How many tasks to take at once.
    pub(crate) fn stride(&self) -> u32 {
        match self.mean.load(Ordering::Relaxed) {
            0 => 1,
            mean => (LEASE_TIME.as_nanos() as u64 / mean).clamp(1, u64::from(MAX_STRIDE)) as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stride_is_as_long_as_a_lease_should_last() {
        let pace = Pace::default();
        assert_eq!(pace.stride(), 1);
        pace.measured(10, Duration::from_millis(10), false);
        assert_eq!(pace.stride(), 50);
        for _ in 0..100 {
            pace.measured(1, Duration::from_secs(1), true);
        }
        assert_eq!(pace.stride(), 1);
        for _ in 0..200 {
            pace.measured(1_000_000, Duration::from_millis(1), false);
        }
        assert_eq!(pace.stride(), MAX_STRIDE);
    }
}
