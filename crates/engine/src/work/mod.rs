//! What tasks do.
//!
//! A kind of work is one implementation of [`Kind`] and one line where the registry is made. `color` is here for demonstrations and tests;
//! the others have a crate of their own.
//!
//! # Layout
//!
//! - `kind`: what a kind says of itself, and how it takes what a client asks for; `registry`: all of them
//! - `detail`: what is kept of a task besides its outcome; `keys`: what tasks share that bears only so much

mod color;
mod detail;
mod keys;
mod kind;
mod registry;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use quilt::{Color, Index};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use thiserror::Error;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::detail::{Detail, InvalidDetail, MAX_DETAIL, MAX_MESSAGE};
pub(crate) use self::detail::{StoredDetail, shortened};
pub use self::keys::{KeyLimits, TaskKeys};
pub(crate) use self::kind::has_input;
pub use self::kind::{Column, Field, FieldKind, Form, Kind, Launch, Preset, parameters};
pub use self::registry::{InvalidWork, Registry};
pub use crate::lease_id::LeaseId;
use crate::slots::SlotClass;

/// One attempt at a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task {
    /// The square that the task fills.
    pub index: Index,
    /// The batch's seed.
    pub seed: u64,
    /// The lap, from 1.
    pub lap: u32,
    /// The attempt within the lap, from 1.
    pub attempt: u8,
    /// The worker's lease. Its text is a fencing token: a service that remembers the largest one it has seen can refuse a task that was started
    /// again elsewhere.
    pub lease: LeaseId,
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

/// What a task came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// What its square shows.
    pub color: Color,
    /// What else there is to know; it is read when somebody asks for it.
    pub detail: Option<Detail>,
}

impl From<Color> for Done {
    fn from(color: Color) -> Self {
        Self { color, detail: None }
    }
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{message}")]
pub struct TaskError {
    /// In a few words that failures of the same kind share, such as `timed out`: they are counted by it. At most
    /// [`MAX_REASON`](quilt::reasons::MAX_REASON) bytes are kept.
    pub reason: Cow<'static, str>,
    /// Everything there is to say about this one. At most [`MAX_MESSAGE`] bytes are kept.
    pub message: String,
    /// Whether trying again may help.
    pub retry: Retry,
    /// What else there is to know, where the task has failed for good with this.
    pub detail: Option<Box<Detail>>,
    /// No other task with the key of this one is started for so long.
    pub key_pause: Option<Duration>,
}

/// Whether a failed attempt is made again, while there are any left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It would fail in the same way.
    Never,
    /// After the usual pause.
    Soon,
    /// Not before this time has passed: somebody asked for that.
    After(Duration),
    /// After this time, and this was no attempt: nothing was tried yet. It is not recorded, and no worker waits for it.
    Snooze(Duration),
}

impl TaskError {
    /// A failure that may be over with the next attempt, and of which there is no more to say than its reason.
    pub fn retryable(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(reason.into(), Retry::Soon)
    }

    /// A failure that would be the same in another attempt, and of which there is no more to say than its reason.
    pub fn permanent(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(reason.into(), Retry::Never)
    }

    /// Not now: the task is run again after this time, and this was no attempt. For work that finds something it needs occupied.
    #[must_use]
    pub fn snooze(time: Duration) -> Self {
        Self::new("snoozed".into(), Retry::Snooze(time))
    }

    fn new(reason: Cow<'static, str>, retry: Retry) -> Self {
        Self { message: reason.clone().into_owned(), reason, retry, detail: None, key_pause: None }
    }

    /// The same failure with everything there is to say about it.
    #[must_use]
    pub fn with_message(self, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..self }
    }

    /// The same failure, after which no task with the key of this one is started for so long.
    #[must_use]
    pub fn with_key_pause(self, time: Duration) -> Self {
        Self { key_pause: Some(time), ..self }
    }

    /// The same failure with what else there is to know of it.
    #[must_use]
    pub fn with_detail(self, detail: Detail) -> Self {
        Self { detail: Some(Box::new(detail)), ..self }
    }
}

/// Work that spends its time waiting, for a network or a process.
#[async_trait]
pub trait AsyncWork: Send + Sync + 'static {
    /// Runs one attempt at a task. The future is dropped when the attempt's time is over or the batch is cancelled. It must not block its
    /// thread.
    async fn run(&self, task: Task) -> Result<Done, TaskError>;

    /// What an attempt needs while it runs.
    fn slot_class(&self) -> SlotClass {
        SlotClass::Async
    }

    /// What its tasks share that bears only so much. A task whose key is full is not started, and costs nothing while it waits.
    fn keys(&self) -> Option<&dyn TaskKeys> {
        None
    }
}

/// CPU-bound work. Each attempt runs on its own thread, in a slot of [`SlotClass::Compute`]. Work that mostly waits should be [`AsyncWork`].
pub trait BlockingWork: Send + Sync + 'static {
    /// Runs one attempt at a task. The attempt must check [`TaskContext::is_over`] regularly and return soon after it is true. Otherwise the
    /// attempt is failed permanently, and its worker stays blocked until it returns.
    fn run(&self, task: Task, context: &TaskContext) -> Result<Done, TaskError>;
}

/// The deadline and the cancellation of an attempt of [`BlockingWork`].
#[derive(Debug, Clone)]
pub struct TaskContext {
    /// The end of the attempt's timeout.
    pub deadline: Instant,
    /// Cancelled at the timeout, when the batch is cancelled, and at shutdown.
    pub cancelled: CancellationToken,
}

impl TaskContext {
    /// Whether the attempt must return now.
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

    /// What an attempt needs while it runs.
    #[must_use]
    pub fn slot_class(&self) -> SlotClass {
        match self {
            Self::Async(work) => work.slot_class(),
            Self::Blocking(_) => SlotClass::Compute,
        }
    }

    /// What its tasks share that bears only so much.
    #[must_use]
    pub fn keys(&self) -> Option<&dyn TaskKeys> {
        match self {
            Self::Async(work) => work.keys(),
            Self::Blocking(_) => None,
        }
    }
}
