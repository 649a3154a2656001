//! A journal and a queue that do what they have to, and no more: everything takes its time, leases come late, twice and in any
//! order, and at a step that nobody knows the process is gone.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use engine::Announcement;
use engine::journal::{
    Creation, Found, Journal, JournalError, Listed, Mark, Offset, Page, Retention, SquareDetail, Unfinished,
};
use engine::queue::{CLAIM_TIME, Claim, ClaimId, LapId, Lease, Queue};
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
    /// Whether leases outlive it, beside those that are pushed when it starts again.
    pub(crate) leases_outlive_crashes: bool,
    /// The share of leases that come once more, or later than they should, or whose end is not heard of.
    pub(crate) lease_trouble: f64,
    /// The share of calls to the journal that are refused.
    pub(crate) refusals: f64,
}

impl Faults {
    pub(crate) const NONE: Self = Self { crashes: 0, leases_outlive_crashes: false, lease_trouble: 0.0, refusals: 0.0 };
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
    ready: Vec<(Duration, Lease)>,
    claims: Vec<(Duration, ClaimId, Lease)>,
    claim_count: u64,
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
                ready: Vec::new(),
                claims: Vec::new(),
                claim_count: 0,
            }),
        })
    }

    /// Starts a life, and says how long the world has existed.
    pub(crate) fn begin(&self) -> Duration {
        let mut state = self.state();
        state.born = Some(Instant::now());
        let is_last = state.crashes_left == 0;
        state.steps_left = (!is_last).then(|| state.random.random_range(1..2_500));
        if !self.faults.leases_outlive_crashes {
            state.ready.clear();
            state.claims.clear();
        }
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

    async fn trouble(&self) -> bool {
        let share = self.faults.lease_trouble;
        share > 0.0 && self.random(|random| random.random_bool(share))
    }
}

impl State {
    fn now(&self) -> Duration {
        self.passed + self.born.map_or(Duration::ZERO, |born| born.elapsed())
    }

    /// Any lease that is due.
    fn take(&mut self) -> Option<Lease> {
        let now = self.now();
        while let Some(place) = self.claims.iter().position(|(lapse, ..)| *lapse <= now) {
            let (_, _, lease) = self.claims.remove(place);
            self.ready.push((now, lease));
        }
        let due: Vec<usize> = (0..self.ready.len()).filter(|place| self.ready[*place].0 <= now).collect();
        if due.is_empty() {
            return None;
        }
        let place = due[self.random.random_range(0..due.len())];
        Some(self.ready.remove(place).1)
    }
}

/// The journal and the queue of one world.
#[derive(Clone)]
pub(crate) struct Seam(pub(crate) Arc<World>);

#[async_trait]
impl Queue for Seam {
    async fn push(&self, lease: Lease, delay: Duration) {
        self.0.step().await;
        let late = if self.0.trouble().await { Duration::from_millis(300) } else { Duration::ZERO };
        let mut state = self.0.state();
        let due = state.now() + delay + late;
        state.ready.push((due, lease));
    }

    async fn pull(&self) -> Claim {
        loop {
            self.0.step().await;
            let comes_again = self.0.trouble().await;
            let claimed = {
                let mut state = self.0.state();
                state.take().map(|lease| {
                    let now = state.now();
                    state.claim_count += 1;
                    let id = ClaimId(state.claim_count);
                    state.claims.push((now + CLAIM_TIME, id, lease.clone()));
                    if comes_again {
                        state.ready.push((now + Duration::from_millis(20), lease.clone()));
                    }
                    Claim { id, lease }
                })
            };
            match claimed {
                Some(claim) => return claim,
                None => sleep(Duration::from_millis(5)).await,
            }
        }
    }

    async fn extend(&self, claim: ClaimId) {
        self.0.step().await;
        let mut state = self.0.state();
        let later = state.now() + CLAIM_TIME;
        for (lapse, ..) in state.claims.iter_mut().filter(|(_, id, _)| *id == claim) {
            *lapse = later;
        }
    }

    async fn split(&self, claim: ClaimId, tail: Lease) {
        self.push(tail.clone(), Duration::ZERO).await;
        self.0.step().await;
        let mut state = self.0.state();
        for (.., lease) in state.claims.iter_mut().filter(|(_, id, _)| *id == claim) {
            lease.positions.end = tail.positions.start;
        }
    }

    async fn is_idle(&self) -> Result<bool, JournalError> {
        self.0.may_refuse().await?;
        let state = self.0.state();
        Ok(state.ready.is_empty() && state.claims.is_empty())
    }

    async fn keep(&self, _: LapId) -> Result<bool, JournalError> {
        self.0.may_refuse().await?;
        Ok(true)
    }

    async fn unkept(&self, laps: Vec<LapId>) -> Result<Vec<LapId>, JournalError> {
        self.0.may_refuse().await?;
        Ok(laps)
    }

    async fn start(&self, _: LapId, lease: Lease) {
        self.push(lease, Duration::ZERO).await;
    }

    async fn let_go(&self, _: LapId) {
        self.0.step().await;
    }

    async fn announce(&self, _: &Announcement) {}

    fn colleagues(&self) -> Vec<Announcement> {
        Vec::new()
    }

    async fn finish(&self, claim: ClaimId) {
        self.0.step().await;
        if !self.0.trouble().await {
            self.0.state().claims.retain(|(_, id, _)| *id != claim);
        }
    }
}

#[async_trait]
impl Journal for Seam {
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
    ) -> Result<Mark, JournalError> {
        self.0.may_refuse().await?;
        let answer = self.0.journal.append(batch, events, details).await;
        self.0.step().await;
        answer
    }

    async fn input(&self, batch: BatchId) -> Result<Option<Bytes>, JournalError> {
        self.0.journal.input(batch).await
    }

    async fn details(&self, batch: BatchId, squares: Range<u32>) -> Result<Vec<SquareDetail>, JournalError> {
        self.0.journal.details(batch, squares).await
    }

    fn follow(&self, batch: BatchId, after: Offset) -> BoxStream<'static, Result<Page, JournalError>> {
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

    async fn find(&self, batch: BatchId) -> Result<Option<Found>, JournalError> {
        self.0.may_refuse().await?;
        self.0.journal.find(batch).await
    }

    async fn list(&self, owner: OwnerId, after: Option<u64>, limit: u32) -> Result<Vec<Listed>, JournalError> {
        self.0.may_refuse().await?;
        self.0.journal.list(owner, after, limit).await
    }

    async fn unfinished(&self) -> Result<Vec<Unfinished>, JournalError> {
        self.0.may_refuse().await?;
        self.0.journal.unfinished().await
    }

    async fn conclude(
        &self,
        batch: BatchId,
        lap: u32,
        summary: Summary,
        receipts: Vec<Receipt>,
    ) -> Result<(), JournalError> {
        self.0.may_refuse().await?;
        let answer = self.0.journal.conclude(batch, lap, summary, receipts).await;
        self.0.step().await;
        answer
    }

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
