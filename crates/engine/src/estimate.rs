//! Estimates the running time of a batch's tasks, which determines the size of chunks.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// The target running time of a chunk.
pub(crate) const CHUNK_TIME: Duration = Duration::from_millis(50);

/// Maximum number of tasks per chunk. It limits the size of a journal entry, and the work that is repeated after a crash.
pub(crate) const MAX_CHUNK: u32 = 8_192;

/// A moving average of the running time of one batch's tasks. Before the first measurement a chunk has one task, so that slow tasks are
/// distributed over all workers.
#[derive(Debug, Default)]
pub(crate) struct TaskTimeEstimate {
    /// Nanoseconds per task; 0 before the first measurement.
    mean: AtomicU64,
    /// Whether no task of the last measured chunk waited.
    is_cpu_bound: AtomicBool,
    /// The number of tasks that are waiting at this moment.
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
    /// Adds a measurement of `tasks` tasks that ran one after another in `elapsed`. `has_waited` says whether one of them waited.
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
        // Concurrent measurements may overwrite each other. This only loses a sample.
        self.mean.store(mean, Ordering::Relaxed);
    }

    /// Whether the tasks are CPU-bound, so that running more of them than there are processors is of no use.
    pub(crate) fn is_cpu_bound(&self) -> bool {
        // A waiting task shows that they are not CPU-bound.
        self.is_cpu_bound.load(Ordering::Relaxed) && self.waiting.load(Ordering::Relaxed) == 0
    }

    /// Counts a task as waiting until the guard is dropped.
    pub(crate) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(&self.waiting)
    }

    /// Whether there is a measurement.
    pub(crate) fn is_known(&self) -> bool {
        self.mean.load(Ordering::Relaxed) > 0
    }

    /// The number of tasks per chunk.
    pub(crate) fn chunk_size(&self) -> u32 {
        match self.mean.load(Ordering::Relaxed) {
            0 => 1,
            mean => (CHUNK_TIME.as_nanos() as u64 / mean).clamp(1, u64::from(MAX_CHUNK)) as u32,
        }
    }

    /// The expected running time of `tasks` tasks. Equals [`CHUNK_TIME`] before the first measurement.
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
