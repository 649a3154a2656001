//! What a program launches, controls and watches batches with.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quilt::{BatchId, BatchSpec, Event, Launched, OwnerId, Position, Status, Summary};
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::journal::{Creation, Journal, JournalError, Listed};
use crate::live::{LiveBatch, LiveBatches};
use crate::now;
use crate::queue::{Lease, Queue};
use crate::work::{InvalidWork, Registry};
use crate::worker::Worker;

/// How long to wait before the journal is tried again.
const JOURNAL_PAUSE: Duration = Duration::from_secs(1);

/// What an engine may use.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How many tasks run at the same time.
    pub workers: u32,
    /// How many of an owner's batches may run at the same time.
    pub running_per_owner: u32,
}

/// Why a batch was not launched.
#[derive(Debug, Error)]
pub enum LaunchError {
    /// The work is unknown or does not take these parameters.
    #[error(transparent)]
    InvalidWork(#[from] InvalidWork),
    /// The owner has as many running batches as are allowed.
    #[error("{limit} of your batches are running, and that is the limit; wait for one to finish or cancel one")]
    TooManyRunning {
        /// The limit.
        limit: u32,
    },
    /// There is a batch of this id already, and it is another one.
    #[error("this was used to launch another batch before")]
    Conflict,
    /// The journal did not take it.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Why a batch was not controlled.
#[derive(Debug, Error)]
pub enum ControlError {
    /// There is no such batch.
    #[error("there is no batch of this id")]
    NotFound,
    /// Somebody else launched it.
    #[error("only the session that launched a batch may control it")]
    NotOwner,
    /// The owner has as many running batches as are allowed.
    #[error("{limit} of your batches are running, and that is the limit; wait for one to finish or cancel one")]
    TooManyRunning {
        /// The limit.
        limit: u32,
    },
    /// The journal did not answer.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// A part of an owner's list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// Batches, newest first.
    pub batches: Vec<(BatchId, Summary)>,
    /// Where the list goes on, if it does.
    pub next: Option<u64>,
}

/// A lap that this node has put on the queue and waits for.
type RunningLap = (BatchId, u32);

/// Runs batches. Cheap to clone; all clones are the same engine.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    journal: Arc<dyn Journal>,
    queue: Arc<dyn Queue>,
    registry: Registry,
    batches: Arc<LiveBatches>,
    settings: Settings,
    /// The laps whose finish lines are yet to be crossed, with their owners.
    running: Mutex<HashMap<RunningLap, OwnerId>>,
    /// Held while a lap is started: who asks for the same one meanwhile finds it started, or tries in turn.
    retrying: tokio::sync::Mutex<()>,
    stopping: CancellationToken,
    aborting: CancellationToken,
    workers: TaskTracker,
    /// See [`Engine::see_home`].
    homecomings: TaskTracker,
}

impl Engine {
    /// Starts the workers, and goes on with every batch that has not come to its finish line.
    ///
    /// # Errors
    ///
    /// Where the journal cannot be asked for the unfinished batches. One that is damaged is logged and left alone.
    pub async fn start(
        journal: Arc<dyn Journal>,
        queue: Arc<dyn Queue>,
        registry: Registry,
        settings: Settings,
    ) -> Result<Self, JournalError> {
        let shared = Arc::new(Shared {
            batches: Arc::new(LiveBatches::new(Arc::clone(&journal), registry.clone())),
            journal,
            queue,
            registry,
            settings,
            running: Mutex::default(),
            retrying: tokio::sync::Mutex::default(),
            stopping: CancellationToken::new(),
            aborting: CancellationToken::new(),
            workers: TaskTracker::new(),
            homecomings: TaskTracker::new(),
        });
        let engine = Self { shared };
        engine.resume().await?;
        engine.start_workers();
        Ok(engine)
    }

    fn start_workers(&self) {
        let Shared { journal, queue, batches, stopping, aborting, workers, settings, .. } = &*self.shared;
        let worker = Worker {
            journal: Arc::clone(journal),
            queue: Arc::clone(queue),
            batches: Arc::clone(batches),
            stopping: stopping.clone(),
            aborting: aborting.clone(),
        };
        for _ in 0..settings.workers {
            workers.spawn(worker.clone().run());
        }
        workers.close();
    }

    async fn resume(&self) -> Result<(), JournalError> {
        for id in self.shared.journal.unfinished().await? {
            match self.shared.batches.open(id).await {
                Ok(Some(batch)) => {
                    let (lap, tasks) = {
                        let folded = batch.folded();
                        (folded.quilt.lap_number(), folded.quilt.progress().tasks)
                    };
                    tracing::info!(batch = %id, lap, "resuming");
                    self.running().insert((id, lap), batch.owner());
                    self.run_lap((id, lap), tasks).await;
                }
                Ok(None) => {}
                Err(error) => tracing::error!(batch = %id, %error, "cannot resume"),
            }
        }
        Ok(())
    }

    /// Accepts a batch. When it returns, the launch is durable; nothing of it has to have run, whatever its size.
    ///
    /// Launching the same batch under the same id again changes nothing, and succeeds.
    ///
    /// # Errors
    ///
    /// See [`LaunchError`].
    pub async fn launch(&self, id: BatchId, owner: OwnerId, spec: BatchSpec) -> Result<Summary, LaunchError> {
        let engine = self.clone();
        to_the_end(async move { engine.launch_now(id, owner, spec).await }).await
    }

    async fn launch_now(&self, id: BatchId, owner: OwnerId, spec: BatchSpec) -> Result<Summary, LaunchError> {
        self.shared.registry.build(&spec.work)?;
        if let Some(before) = self.open(id).await? {
            return same_launch(&before, owner, &spec);
        }
        let lap = (id, 1);
        let is_claimed = self.claim(lap, owner)?;
        let launched = Launched { spec, at: now() };
        match self.shared.journal.create(id, owner, launched.clone()).await {
            Ok(Creation::Created) => {
                self.run_lap(lap, launched.spec.grid.squares()).await;
                Ok(Summary::of_launch(launched))
            }
            Ok(Creation::Exists) => {
                // Somebody launched it since we looked, and runs it.
                if is_claimed {
                    self.running().remove(&lap);
                }
                let before = self.open(id).await?.ok_or(LaunchError::Conflict)?;
                same_launch(&before, owner, &launched.spec)
            }
            Err(error) => {
                if is_claimed {
                    self.running().remove(&lap);
                }
                Err(error.into())
            }
        }
    }

    /// The batch as it stands, and as it goes on while the caller holds it. `None` where there is no such batch.
    ///
    /// # Errors
    ///
    /// Where its journal cannot be read.
    pub async fn open(&self, id: BatchId) -> Result<Option<Arc<LiveBatch>>, JournalError> {
        self.shared.batches.open(id).await
    }

    /// An owner's batches, newest first, at most `limit` of them, going on behind the cursor `after`.
    ///
    /// # Errors
    ///
    /// Where a journal cannot be read.
    pub async fn list(&self, owner: OwnerId, after: Option<u64>, limit: u32) -> Result<Listing, JournalError> {
        let mut listed = self.shared.journal.list(owner, after, limit.saturating_add(1)).await?;
        let goes_on = listed.len() > limit as usize;
        listed.truncate(limit as usize);
        let next = listed.last().filter(|_| goes_on).map(|last| last.cursor);
        let mut batches = Vec::with_capacity(listed.len());
        for Listed { batch, conclusion, .. } in listed {
            let summary = match conclusion {
                Some(summary) => Some(summary),
                None => self.open(batch).await?.map(|batch| batch.folded().quilt.summary()),
            };
            batches.extend(summary.map(|summary| (batch, summary)));
        }
        Ok(Listing { batches, next })
    }

    /// Stops a batch; what is settled stays. A batch that is over already stays as it is.
    ///
    /// # Errors
    ///
    /// See [`ControlError`].
    pub async fn cancel(&self, id: BatchId, owner: OwnerId) -> Result<Summary, ControlError> {
        let batch = self.open_own(id, owner).await?;
        let (lap, status) = lap_and_status(&batch);
        if status == Status::Running {
            self.shared.journal.append(id, Event::Cancelled { lap, at: now() }).await?;
            batch.wait_until(|quilt| quilt.lap_number() > lap || quilt.status() != Status::Running).await;
        }
        Ok(batch.folded().quilt.summary())
    }

    /// Puts the failed squares back and starts the next lap. A batch that still runs, or has no failed squares, stays as
    /// it is.
    ///
    /// # Errors
    ///
    /// See [`ControlError`].
    pub async fn retry_failed(&self, id: BatchId, owner: OwnerId) -> Result<Summary, ControlError> {
        let engine = self.clone();
        to_the_end(async move { engine.retry_now(id, owner).await }).await
    }

    async fn retry_now(&self, id: BatchId, owner: OwnerId) -> Result<Summary, ControlError> {
        let batch = self.open_own(id, owner).await?;
        let _one_at_a_time = self.shared.retrying.lock().await;
        let (lap, _) = lap_and_status(&batch);
        if batch.folded().quilt.can_retry() {
            let next = (id, lap + 1);
            if self.claim(next, owner)? {
                let appended = self.shared.journal.append(id, Event::LapStarted { lap: next.1, at: now() }).await;
                if let Err(error) = appended {
                    self.running().remove(&next);
                    return Err(error.into());
                }
                let tasks = batch.folded().quilt.progress().tasks;
                self.run_lap(next, tasks).await;
            }
            batch.wait_until(|quilt| quilt.lap_number() > lap).await;
        }
        Ok(batch.folded().quilt.summary())
    }

    /// How many tasks can run at the same time.
    #[must_use]
    pub fn workers(&self) -> u32 {
        self.shared.settings.workers
    }

    /// Ends the engine: no more tasks are started, those that run get `grace` to end, and are given up after it. What has
    /// no outcome by then is run when the engine is started again.
    pub async fn shutdown(&self, grace: Duration) {
        self.shared.stopping.cancel();
        if tokio::time::timeout(grace, self.shared.workers.wait()).await.is_err() {
            tracing::info!("giving up the tasks that still run");
        }
        self.shared.aborting.cancel();
        self.shared.workers.wait().await;
        self.shared.homecomings.close();
        self.shared.homecomings.wait().await;
    }

    async fn open_own(&self, id: BatchId, owner: OwnerId) -> Result<Arc<LiveBatch>, ControlError> {
        let batch = self.open(id).await?.ok_or(ControlError::NotFound)?;
        if batch.owner() == owner { Ok(batch) } else { Err(ControlError::NotOwner) }
    }

    /// Counts a lap among the owner's running ones. `false` if it is one of them already.
    fn claim(&self, lap: RunningLap, owner: OwnerId) -> Result<bool, TooManyRunning> {
        let mut running = self.running();
        let of_owner = running.values().filter(|other| **other == owner).count();
        let limit = self.shared.settings.running_per_owner;
        match running.entry(lap) {
            Entry::Occupied(_) => Ok(false),
            Entry::Vacant(_) if of_owner >= limit as usize => Err(TooManyRunning { limit }),
            Entry::Vacant(vacant) => {
                vacant.insert(owner);
                Ok(true)
            }
        }
    }

    /// Puts a claimed lap on the queue: one lease, however many tasks there are. Workers pass over what is settled.
    async fn run_lap(&self, lap: RunningLap, tasks: u32) {
        let positions = Position(0)..Position(tasks);
        self.shared.queue.push(Lease { batch: lap.0, lap: lap.1, attempt: 1, positions }, Duration::ZERO).await;
        let engine = self.clone();
        self.shared.homecomings.spawn(async move {
            engine.shared.aborting.run_until_cancelled(engine.see_home(lap)).await;
        });
    }

    /// Keeps a batch in memory while a lap of it runs, and notes in the journal when it is over.
    async fn see_home(&self, lap: RunningLap) {
        let Some(batch) = until_available(|| self.open(lap.0)).await.flatten() else {
            self.running().remove(&lap);
            return;
        };
        batch.wait_until(|quilt| quilt.lap_number() > lap.1 || quilt.status() != Status::Running).await;
        self.running().remove(&lap);
        let summary = batch.folded().quilt.summary();
        if summary.status != Status::Running {
            let progress = summary.progress;
            tracing::info!(batch = %lap.0, lap = lap.1, status = summary.status.as_str(), progress.done, progress.failed, "a lap is over");
            until_available(|| self.shared.journal.conclude(lap.0, summary.clone())).await;
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<RunningLap, OwnerId>> {
        self.shared.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An owner's limit, see [`Settings::running_per_owner`].
struct TooManyRunning {
    limit: u32,
}

impl From<TooManyRunning> for LaunchError {
    fn from(TooManyRunning { limit }: TooManyRunning) -> Self {
        Self::TooManyRunning { limit }
    }
}

impl From<TooManyRunning> for ControlError {
    fn from(TooManyRunning { limit }: TooManyRunning) -> Self {
        Self::TooManyRunning { limit }
    }
}

fn lap_and_status(batch: &LiveBatch) -> (u32, Status) {
    let folded = batch.folded();
    (folded.quilt.lap_number(), folded.quilt.status())
}

fn same_launch(before: &LiveBatch, owner: OwnerId, spec: &BatchSpec) -> Result<Summary, LaunchError> {
    let summary = before.folded().quilt.summary();
    if before.owner() == owner && summary.spec == *spec { Ok(summary) } else { Err(LaunchError::Conflict) }
}

/// Runs something to its end even if whoever asked for it goes away in the middle: a lap that is in the journal has to be on the
/// queue as well.
async fn to_the_end<T, E>(work: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<JournalError> + Send + 'static,
{
    // It ends early only with the process.
    tokio::spawn(work).await.unwrap_or_else(|_| Err(JournalError::Closed.into()))
}

/// Asks the journal again and again while it is not available. `None` where it never will be.
async fn until_available<T, F>(mut ask: impl FnMut() -> F) -> Option<T>
where
    F: Future<Output = Result<T, JournalError>>,
{
    loop {
        match ask().await {
            Ok(answer) => return Some(answer),
            Err(JournalError::Unavailable(reason)) => {
                tracing::warn!(reason, "the journal is not available; trying again");
                tokio::time::sleep(JOURNAL_PAUSE).await;
            }
            Err(error) => {
                tracing::error!(%error, "the journal did not answer");
                return None;
            }
        }
    }
}
