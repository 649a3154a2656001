//! What tasks do.
//!
//! A kind of work is one file here and one line in [`Registry::default`].

mod color;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use quilt::{Color, Index, WorkSpec};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use thiserror::Error;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// One try at one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task {
    /// The square that the task fills.
    pub index: Index,
    /// The batch's seed.
    pub seed: u64,
    /// The lap, from 1.
    pub lap: u32,
    /// The try within the lap, from 1.
    pub attempt: u8,
}

impl Task {
    /// Random numbers that depend on the seed and the square alone: the same in every run of a batch like this one.
    #[must_use]
    pub fn square_rng(&self) -> Xoshiro256PlusPlus {
        Xoshiro256PlusPlus::seed_from_u64(self.square_seed())
    }

    /// Random numbers that are others in each attempt and in each lap.
    #[must_use]
    pub fn attempt_rng(&self) -> Xoshiro256PlusPlus {
        let tries = u64::from(self.lap) << 8 | u64::from(self.attempt);
        Xoshiro256PlusPlus::seed_from_u64(self.square_seed() ^ tries.wrapping_mul(0xD6E8_FEB8_6659_FD93))
    }

    fn square_seed(&self) -> u64 {
        // An odd factor keeps squares apart; seeding mixes the bits.
        self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(u64::from(self.index.0))
    }
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TaskError {
    /// Trying again may help.
    #[error("{0}")]
    Retryable(String),
    /// Trying again would fail in the same way.
    #[error("{0}")]
    Permanent(String),
}

/// Work that spends its time waiting, for a network or a process.
#[async_trait]
pub trait AsyncWork: Send + Sync + 'static {
    /// Runs one attempt at a task; the colour is what its square shows. The future is dropped when the attempt's
    /// time is over or the batch is cancelled. It must not block its thread.
    async fn run(&self, task: Task) -> Result<Color, TaskError>;
}

/// Work that keeps a processor busy. Each attempt has a thread to itself, and no more of a batch run than twice as many as there are processors.
/// What waits most of its time does better as [`AsyncWork`].
pub trait BlockingWork: Send + Sync + 'static {
    /// Runs one attempt at a task; the colour is what its square shows. It has to look at the allowance now and then, and to return soon
    /// after that is over. An attempt that does not is given up as failed for good, and costs the worker that ran it until it ends.
    fn run(&self, task: Task, allowance: &Allowance) -> Result<Color, TaskError>;
}

/// How long an attempt of [`BlockingWork`] may go on.
#[derive(Debug, Clone)]
pub struct Allowance {
    /// When its time is over.
    pub deadline: Instant,
    /// Cancelled when nobody waits for it any more: its time is over, its batch was cancelled, or the process is ending.
    pub cancelled: CancellationToken,
}

impl Allowance {
    /// Whether the attempt has to end now.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.cancelled.is_cancelled() || Instant::now() >= self.deadline
    }
}

/// A kind of work with its parameters.
#[derive(Clone)]
pub enum Work {
    /// It waits.
    Async(Arc<dyn AsyncWork>),
    /// It computes.
    Blocking(Arc<dyn BlockingWork>),
}

impl Work {
    /// Work that waits.
    pub fn waiting(work: impl AsyncWork) -> Self {
        Self::Async(Arc::new(work))
    }

    /// Work that computes.
    pub fn blocking(work: impl BlockingWork) -> Self {
        Self::Blocking(Arc::new(work))
    }
}

/// Parameters that a kind of work does not take, in a sentence for whoever sent them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidWork {
    /// There is no such kind.
    #[error("there is no work of kind '{kind}'; there is: {known}")]
    UnknownKind {
        /// What was asked for.
        kind: String,
        /// The kinds there are, separated by commas.
        known: String,
    },
    /// The kind's own check failed.
    #[error("work of kind '{kind}': {reason}")]
    Parameters {
        /// The kind.
        kind: String,
        /// What is wrong, with the parameter's name and value.
        reason: String,
    },
}

/// Makes work out of its parameters.
pub type Build = fn(&WorkSpec) -> Result<Work, String>;

/// The kinds of work there are.
#[derive(Clone)]
pub struct Registry {
    kinds: HashMap<&'static str, Build>,
}

impl Default for Registry {
    fn default() -> Self {
        Self { kinds: HashMap::new() }.with("color", color::build)
    }
}

impl Registry {
    /// Adds a kind, or replaces one.
    #[must_use]
    pub fn with(mut self, kind: &'static str, build: Build) -> Self {
        self.kinds.insert(kind, build);
        self
    }

    /// Makes work out of what a client asked for.
    ///
    /// # Errors
    ///
    /// [`InvalidWork`] where the kind is unknown, or does not take these parameters.
    pub fn build(&self, spec: &WorkSpec) -> Result<Work, InvalidWork> {
        let Some(build) = self.kinds.get(spec.kind.as_str()) else {
            let mut known: Vec<&str> = self.kinds.keys().copied().collect();
            known.sort_unstable();
            return Err(InvalidWork::UnknownKind { kind: spec.kind.clone(), known: known.join(", ") });
        };
        build(spec).map_err(|reason| InvalidWork::Parameters { kind: spec.kind.clone(), reason })
    }
}

/// Stands in for work that cannot be built any more, so that its batch still reaches its finish line.
pub(crate) struct Unavailable(pub(crate) InvalidWork);

#[async_trait]
impl AsyncWork for Unavailable {
    async fn run(&self, _task: Task) -> Result<Color, TaskError> {
        Err(TaskError::Permanent(self.0.to_string()))
    }
}
