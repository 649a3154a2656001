//! Kinds of work.
//!
//! A kind of work is one implementation of [`Kind`], and one line where the registry is created. `color` is here for demonstrations and
//! tests; the other kinds have their own crate.
//!
//! # Layout
//!
//! - `kind`: the interface of a kind, and prepared requests; `registry`: all kinds
//! - `detail`: details of tasks; `keys`: concurrency keys

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
pub use self::kind::{
    Column, Example, Field, FieldKind, Form, Kind, Launch, Preset, Unit, Upload, counted, has_input, parameters,
    remove_input,
};
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
    /// The worker's lease. Its text is a fencing token: a service that remembers the largest token it has seen can reject an outdated
    /// attempt of a task that was started again elsewhere.
    pub lease: LeaseId,
}

impl Task {
    /// A random number generator that depends only on the seed and the square: the same in every run of the same batch.
    #[must_use]
    pub fn square_rng(&self) -> Xoshiro256PlusPlus {
        Xoshiro256PlusPlus::seed_from_u64(self.square_seed())
    }

    /// A random number generator that differs between attempts and laps.
    #[must_use]
    pub fn attempt_rng(&self) -> Xoshiro256PlusPlus {
        let tries = u64::from(self.lap) << 8 | u64::from(self.attempt);
        Xoshiro256PlusPlus::seed_from_u64(self.square_seed() ^ tries.wrapping_mul(0xD6E8_FEB8_6659_FD93))
    }

    fn square_seed(&self) -> u64 {
        // The odd factor keeps squares distinct; seeding mixes the bits.
        self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(u64::from(self.index.0))
    }
}

/// The result of a successful task.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// The color of its square.
    pub color: Color,
    /// Additional data, which is read on request.
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
    /// A short reason, the same for failures of the same kind, such as `timed out`. Failures are counted by reason. At most
    /// [`MAX_REASON`](quilt::reasons::MAX_REASON) bytes are stored.
    pub reason: Cow<'static, str>,
    /// The full message. At most [`MAX_MESSAGE`] bytes are stored.
    pub message: String,
    /// Whether to retry.
    pub retry: Retry,
    /// Additional data, stored if the task has failed permanently.
    pub detail: Option<Box<Detail>>,
    /// No other task with the same key starts for this long.
    pub key_pause: Option<Duration>,
}

/// Whether a failed attempt is retried, if attempts are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Never, because it would fail again.
    Never,
    /// After the usual backoff.
    Soon,
    /// After the usual backoff, but at least this time, for example because a service requested it.
    After(Duration),
    /// After exactly this time. The attempt does not count and is not recorded. No worker waits.
    Snooze(Duration),
}

impl TaskError {
    /// A failure that may be transient, with its reason as the message.
    pub fn retryable(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(reason.into(), Retry::Soon)
    }

    /// A failure that would recur, with its reason as the message.
    pub fn permanent(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(reason.into(), Retry::Never)
    }

    /// Postpones the task. This does not count as an attempt. For work whose resource is in use.
    #[must_use]
    pub fn snooze(time: Duration) -> Self {
        Self::new("snoozed".into(), Retry::Snooze(time))
    }

    fn new(reason: Cow<'static, str>, retry: Retry) -> Self {
        Self { message: reason.clone().into_owned(), reason, retry, detail: None, key_pause: None }
    }

    /// Sets the full message.
    #[must_use]
    pub fn with_message(self, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..self }
    }

    /// Prevents further starts of tasks with the same key for some time.
    #[must_use]
    pub fn with_key_pause(self, time: Duration) -> Self {
        Self { key_pause: Some(time), ..self }
    }

    /// Adds a detail.
    #[must_use]
    pub fn with_detail(self, detail: Detail) -> Self {
        Self { detail: Some(Box::new(detail)), ..self }
    }
}

/// I/O-bound work, which mostly waits for a network or a process.
#[async_trait]
pub trait AsyncWork: Send + Sync + 'static {
    /// Runs one attempt at a task. The future is dropped at the attempt's deadline, or when the batch is cancelled. It must not block its
    /// thread.
    async fn run(&self, task: Task) -> Result<Done, TaskError>;

    /// The slot class of an attempt.
    fn slot_class(&self) -> SlotClass {
        SlotClass::Async
    }

    /// The concurrency keys of its tasks. A task whose key is at its limit does not start, and uses no worker while it waits.
    fn keys(&self) -> Option<&dyn TaskKeys> {
        None
    }
}

/// CPU-bound work. Each attempt runs on its own thread, in a slot of [`SlotClass::Compute`]. Work that mostly waits should be
/// [`AsyncWork`].
pub trait BlockingWork: Send + Sync + 'static {
    /// Runs one attempt at a task. The attempt must check [`TaskContext::is_over`] regularly and return soon after it is true. Otherwise
    /// the attempt is failed permanently, and its worker stays blocked until it returns.
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
    /// I/O-bound.
    Async(Arc<dyn AsyncWork>),
    /// CPU-bound.
    Blocking(Arc<dyn BlockingWork>),
}

impl Work {
    /// Creates I/O-bound work.
    pub fn waiting(work: impl AsyncWork) -> Self {
        Self::Async(Arc::new(work))
    }

    /// Creates CPU-bound work.
    pub fn blocking(work: impl BlockingWork) -> Self {
        Self::Blocking(Arc::new(work))
    }

    /// The slot class of an attempt.
    #[must_use]
    pub fn slot_class(&self) -> SlotClass {
        match self {
            Self::Async(work) => work.slot_class(),
            Self::Blocking(_) => SlotClass::Compute,
        }
    }

    /// The concurrency keys of its tasks.
    #[must_use]
    pub fn keys(&self) -> Option<&dyn TaskKeys> {
        match self {
            Self::Async(work) => work.keys(),
            Self::Blocking(_) => None,
        }
    }
}
