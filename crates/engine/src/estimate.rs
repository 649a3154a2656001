//! How long the tasks of a batch take, learned from those that ran: it decides how many go into a chunk.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// How much work a chunk should hold.
pub(crate) const CHUNK_TIME: Duration = Duration::from_millis(50);

/// The most tasks in a chunk. It bounds the size of one journal entry, and how much is run again after a crash.
pub(crate) const MAX_CHUNK: u32 = 8_192;

/// A running mean of the time that a task of one batch takes. Until something was measured, a chunk is one task long,
/// so that slow tasks spread over all workers at once.
#[derive(Debug, Default)]
pub(crate) struct TaskTimeEstimate {
    /// Nanoseconds a task; 0 until the first measurement.
    mean: AtomicU64,
    /// Whether no task of the last chunk waited.
    is_cpu_bound: AtomicBool,
    /// How many tasks are waiting at this moment.
    waiting: AtomicU32,
}

/// Counts a task as waiting until it is dropped.
pub(crate) struct Waiting<'a>(&'a AtomicU32);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl TaskTimeEstimate {
    /// Takes account of `tasks` that ran one after the other in `elapsed`, and of whether one of them waited.
    pub(crate) fn measured(&self, tasks: u32, elapsed: Duration, has_waited: bool) {
        if tasks == 0 {
            return;
        }
        self.is_cpu_bound.store(!has_waited, Ordering::Relaxed);
        let sample = (elapsed.as_nanos() / u128::from(tasks)).clamp(1, u128::from(u64::MAX / 4)) as u64;
        let mean = match self.mean.load(Ordering::Relaxed) {
            0 => sample,
            mean => (3 * mean + sample) / 4,
        };
        // Two workers may measure at once and one sample get lost; it is a mean.
        self.mean.store(mean, Ordering::Relaxed);
    }

    /// Whether the tasks keep a processor busy all their time, so that more of them at once than there are processors are of no use.
    pub(crate) fn is_cpu_bound(&self) -> bool {
        // A task that waits at this moment is proof of the contrary.
        self.is_cpu_bound.load(Ordering::Relaxed) && self.waiting.load(Ordering::Relaxed) == 0
    }

    /// Takes account of a task that waits.
    pub(crate) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(&self.waiting)
    }

    /// Whether a task was measured.
    pub(crate) fn is_known(&self) -> bool {
        self.mean.load(Ordering::Relaxed) > 0
    }

    /// How many tasks fill a chunk.
    pub(crate) fn chunk_size(&self) -> u32 {
        match self.mean.load(Ordering::Relaxed) {
            0 => 1,
            mean => (CHUNK_TIME.as_nanos() as u64 / mean).clamp(1, u64::from(MAX_CHUNK)) as u32,
        }
    }

    /// How long so many tasks take one after the other. As long as a chunk should where nothing was measured yet.
    pub(crate) fn expected(&self, tasks: u32) -> Duration {
        match self.mean.load(Ordering::Relaxed) {
            0 => CHUNK_TIME,
            mean => Duration::from_nanos(mean.saturating_mul(tasks.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_as_long_as_it_should_take() {
        let estimate = TaskTimeEstimate::default();
        assert_eq!(estimate.chunk_size(), 1);
        estimate.measured(10, Duration::from_millis(10), false);
        assert_eq!(estimate.chunk_size(), 50);
        for _ in 0..100 {
            estimate.measured(1, Duration::from_secs(1), true);
        }
        assert_eq!(estimate.chunk_size(), 1);
        for _ in 0..200 {
            estimate.measured(1_000_000, Duration::from_millis(1), false);
        }
        assert_eq!(estimate.chunk_size(), MAX_CHUNK);
    }
}
