//! A journal that does what it has to, and no more: everything takes its time, and at a step that nobody knows the process is gone.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use engine::journal::{
    BatchListItem, BatchMeta, Blobs, Catalog, Cleanup, Creation, Ending, EventLog, EventPage, Journal, JournalError,
    Offset, OpenBatch, Retention, Sequence, SquareDetail,
};
use futures::StreamExt;
use futures::stream::BoxStream;
use quilt::{BatchId, Event, Launched, OwnerId, Receipt, Summary};
use rand::RngExt;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use tokio::time::{Instant, sleep};

use crate::memory::MemoryJournal;

/// How unkind a world is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Faults {
    /// How often the process dies.
    pub(crate) crashes: u32,
    /// The share of calls to the journal that are refused.
    pub(crate) refusals: f64,
}

impl Faults {
    pub(crate) const NONE: Self = Self { crashes: 0, refusals: 0.0 };
}

/// What outlives a crash, and what decides.
pub(crate) struct World {
    pub(crate) journal: MemoryJournal,
    faults: Faults,
    state: Mutex<State>,
}

struct State {
    random: Xoshiro256PlusPlus,
    /// Simulated time that has passed in the lives before this one, and the start of this one.
    passed: Duration,
    born: Option<Instant>,
    steps_left: Option<u64>,
    crashes_left: u32,
}

impl World {
    pub(crate) fn new(seed: u64, faults: Faults) -> Arc<Self> {
        Arc::new(Self {
            journal: MemoryJournal::default(),
            faults,
            state: Mutex::new(State {
                random: Xoshiro256PlusPlus::seed_from_u64(seed),
                passed: Duration::ZERO,
                born: None,
                steps_left: None,
                crashes_left: faults.crashes,
            }),
        })
    }

    /// Starts a life, and says how long the world has existed.
    pub(crate) fn begin(&self) -> Duration {
        let mut state = self.state();
        state.born = Some(Instant::now());
        let is_last = state.crashes_left == 0;
        state.steps_left = (!is_last).then(|| state.random.random_range(1..2_500));
        state.passed
    }

    /// Ends when this life does.
    pub(crate) async fn crash(&self) {
        while self.state().steps_left != Some(0) {
            sleep(Duration::from_millis(1)).await;
        }
        let mut state = self.state();
        state.crashes_left -= 1;
        state.passed = state.now();
    }

    pub(crate) fn random<T>(&self, draw: impl FnOnce(&mut Xoshiro256PlusPlus) -> T) -> T {
        draw(&mut self.state().random)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One step: others may come first, time may pass, or it was the last one.
    pub(crate) async fn step(&self) {
        let (is_last, pause) = {
            let mut state = self.state();
            let is_last = match &mut state.steps_left {
                Some(0) => true,
                Some(left) => {
                    *left -= 1;
                    *left == 0
                }
                None => false,
            };
            (is_last, state.random.random_range(0..8_u64))
        };
        if is_last {
            std::future::pending::<()>().await;
        }
        match pause {
            0..4 => {}
            4..7 => tokio::task::yield_now().await,
            millis => sleep(Duration::from_millis(millis)).await,
        }
    }

    async fn may_refuse(&self) -> Result<(), JournalError> {
        self.step().await;
        let refusals = self.faults.refusals;
        if refusals > 0.0 && self.random(|random| random.random_bool(refusals)) {
            return Err(JournalError::Unavailable("simulated".into()));
        }
        Ok(())
    }
}

impl State {
    fn now(&self) -> Duration {
        self.passed + self.born.map_or(Duration::ZERO, |born| born.elapsed())
    }
}

/// The journal of one world.
#[derive(Clone)]
pub(crate) struct Interface(pub(crate) Arc<World>);

#[async_trait]
impl EventLog for Interface {
    async fn create(
        &self,
        batch: BatchId,
        owner: OwnerId,
        launched: Launched,
        input: Option<Bytes>,
    ) -> Result<Creation, JournalError> {
        self.0.may_refuse().await?;
        let answer = self.0.journal.create(batch, owner, launched, input).await;
        self.0.step().await;
        answer
    }

    async fn append(
        &self,
        batch: BatchId,
        events: Vec<Event>,
        details: Vec<SquareDetail>,
    ) -> Result<Sequence, JournalError> {
        self.0.may_refuse().await?;
        let answer = self.0.journal.append(batch, events, details).await;
        self.0.step().await;
        answer
    }

    async fn append_ending(
        &self,
        batch: BatchId,
        events: Vec<Event>,
        details: Vec<SquareDetail>,
        ending: Ending,
    ) -> Result<Sequence, JournalError> {
        self.0.may_refuse().await?;
        let answer = self.0.journal.append_ending(batch, events, details, ending).await;
        self.0.step().await;
        answer
    }

    fn follow(&self, batch: BatchId, after: Offset) -> BoxStream<'static, Result<EventPage, JournalError>> {
        let world = Arc::clone(&self.0);
        let pages = self.0.journal.follow(batch, after);
        // What was written is seen some time later.
        Box::pin(pages.then(move |page| {
            let world = Arc::clone(&world);
            async move {
                world.step().await;
                page
            }
        }))
    }
}

#[async_trait]
impl Blobs for Interface {
    async fn input(&self, batch: BatchId) -> Result<Option<Bytes>, JournalError> {
        self.0.journal.input(batch).await
    }

    async fn input_size(&self, batch: BatchId) -> Result<Option<u64>, JournalError> {
        self.0.journal.input_size(batch).await
    }

    async fn details(&self, batch: BatchId, squares: Range<u32>) -> Result<Vec<SquareDetail>, JournalError> {
        self.0.journal.details(batch, squares).await
    }
}

#[async_trait]
impl Catalog for Interface {
    async fn find(&self, batch: BatchId) -> Result<Option<BatchMeta>, JournalError> {
        self.0.may_refuse().await?;
        self.0.journal.find(batch).await
    }

    async fn list(&self, owner: OwnerId, after: Option<u64>, limit: u32) -> Result<Vec<BatchListItem>, JournalError> {
        self.0.may_refuse().await?;
        self.0.journal.list(owner, after, limit).await
    }

    async fn unfinished(&self) -> Result<Vec<OpenBatch>, JournalError> {
        self.0.may_refuse().await?;
        self.0.journal.unfinished().await
    }

    async fn finalize(
        &self,
        batch: BatchId,
        lap: u32,
        summary: Summary,
        receipts: Vec<Receipt>,
    ) -> Result<(), JournalError> {
        self.0.may_refuse().await?;
        let answer = self.0.journal.finalize(batch, lap, summary, receipts).await;
        self.0.step().await;
        answer
    }
}

#[async_trait]
impl Cleanup for Interface {
    async fn remove(&self, batch: BatchId) -> Result<bool, JournalError> {
        self.0.may_refuse().await?;
        self.0.journal.remove(batch).await
    }

    async fn expired(&self, retention: Retention, skip: u32, limit: u32) -> Result<Vec<BatchId>, JournalError> {
        self.0.journal.expired(retention, skip, limit).await
    }

    async fn purge(&self) -> Result<bool, JournalError> {
        self.0.journal.purge().await
    }
}

impl Journal for Interface {}
