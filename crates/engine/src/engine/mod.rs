//! What a program launches, controls and watches batches with.
//!
//! # Layout
//!
//! - `launch`, `control`: what is asked for; `error`: why it was not done
//! - `laps`: the laps that run, from the queue to their ends
//! - `record`: what is known of one square, and the receipts
//! - `retention`: removes what is not kept any longer

mod control;
mod error;
mod laps;
mod launch;
mod record;
mod retention;

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quilt::wire::Load;
use quilt::{BatchId, OwnerId, Summary};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::laps::Running;
use crate::activity::Desk;
use crate::clock::Clock;
use crate::colleagues::{Announcement, Colleagues, Node, worker_name};
use crate::journal::{Journal, JournalError, Listed, Retention};
use crate::live::{LiveBatch, LiveBatches};
use crate::panics::install_hook;
use crate::queue::{ANNOUNCE, Queue};
use crate::work::Registry;
use crate::worker::Worker;

pub use self::error::{ControlError, LaunchError, TooManyRunning};
pub use self::record::{Events, SquareRecord};

/// What an engine may use.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This node. As many tasks as it has slots run at the same time.
    pub node: Node,
    /// How many processors there are. Twice as many workers are of use to a batch whose tasks compute.
    pub processors: u32,
    /// How many of an owner's batches may run at the same time.
    pub running_per_owner: u32,
    /// How many squares the running batches of all owners may have together; each counts as 4,096 at least.
    pub running_squares: u64,
    /// What is kept of batches that are over.
    pub retention: Retention,
    /// Whether batches that an earlier process has left unfinished are paused before anything of them is run.
    pub pauses_unfinished: bool,
    /// The time of day.
    pub clock: Clock,
}

impl Default for Settings {
    /// 64 workers, the processors of this machine, 8 running batches an owner, 32 of the largest ones in all, and everything is kept.
    fn default() -> Self {
        Self {
            node: Node {
                name: "worker".into(),
                host: "localhost".into(),
                slots: 64,
                version: env!("CARGO_PKG_VERSION").into(),
            },
            processors: std::thread::available_parallelism()
                .map_or(2, |count| u32::try_from(count.get()).unwrap_or(u32::MAX)),
            running_per_owner: 8,
            running_squares: 32 << 20,
            retention: Retention::default(),
            pauses_unfinished: false,
            clock: Clock::System,
        }
    }
}

/// One worker of this many may wait for a place with a batch that has as many running tasks as it may have.
const QUEUEING_SHARE: usize = 8;

/// A part of an owner's list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// Batches, newest first.
    pub batches: Vec<(BatchId, Summary)>,
    /// Where the list goes on, if it does.
    pub next: Option<u64>,
}

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
    running: Mutex<Running>,
    /// Held while a lap is started or a batch is removed: who asks for the same one meanwhile finds it done, or tries in turn.
    changing: tokio::sync::Mutex<()>,
    /// Told when a batch was removed.
    removed: Notify,
    /// How many workers wait for an attempt that does not stop.
    stuck: Arc<AtomicU32>,
    desks: Box<[Arc<Desk>]>,
    colleagues: Arc<Colleagues>,
    stopping: CancellationToken,
    aborting: CancellationToken,
    workers: TaskTracker,
    /// Those who see laps to their ends, and the clean-up.
    homecomings: TaskTracker,
}

impl Engine {
    /// Starts the workers, and goes on with every batch that has not come to its finish line.
    ///
    /// The first call in a process installs a panic hook. It passes over the panics of tasks, which the engine catches and logs once a batch,
    /// and hands all others to the hook that was installed before. A program that wants a hook of its own installs it before this call.
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
        install_hook();
        let node = &settings.node;
        let desk = |number| Arc::new(Desk::new(worker_name(node, number)));
        let desks = (1..=node.slots).map(desk).collect();
        let shared = Arc::new(Shared {
            batches: Arc::new(LiveBatches::new(Arc::clone(&journal), registry.clone(), settings.processors)),
            journal,
            queue,
            registry,
            colleagues: Arc::new(Colleagues::of(node)),
            settings,
            running: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            removed: Notify::new(),
            stuck: Arc::default(),
            desks,
            stopping: CancellationToken::new(),
            aborting: CancellationToken::new(),
            workers: TaskTracker::new(),
            homecomings: TaskTracker::new(),
        });
        let engine = Self { shared };
        let mut left_alone = HashSet::new();
        engine.take_over(&mut left_alone).await?;
        if engine.shared.settings.pauses_unfinished {
            engine.pause_all().await;
        }
        engine.start_workers();
        engine.until_stopped(|engine| async move { engine.clean_up().await });
        engine.until_stopped(|engine| async move { engine.look_after_laps(left_alone).await });
        engine.until_stopped(|engine| async move { engine.announce().await });
        Ok(engine)
    }

    /// Does something that goes on until the engine ends.
    fn until_stopped<F: Future<Output = ()> + Send + 'static>(&self, work: impl FnOnce(Self) -> F) {
        let stopping = self.shared.stopping.clone();
        let work = work(self.clone());
        self.shared.homecomings.spawn(async move { stopping.run_until_cancelled(work).await });
    }

    fn start_workers(&self) {
        let Shared { journal, queue, batches, stuck, desks, stopping, aborting, workers, settings, colleagues, .. } =
            &*self.shared;
        let queueing = Arc::new(Semaphore::new((settings.node.slots as usize / QUEUEING_SHARE).max(1)));
        for desk in desks {
            let worker = Worker {
                desk: Arc::clone(desk),
                colleagues: Arc::clone(colleagues),
                journal: Arc::clone(journal),
                queue: Arc::clone(queue),
                batches: Arc::clone(batches),
                clock: settings.clock,
                queueing: Arc::clone(&queueing),
                stuck: Arc::clone(stuck),
                stopping: stopping.clone(),
                aborting: aborting.clone(),
            };
            workers.spawn(worker.run());
        }
        workers.close();
    }

    /// The kinds of work that this node knows.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    /// The batch as it stands, and as it goes on while the caller holds it. `None` where there is no such batch.
    ///
    /// # Errors
    ///
    /// Where its journal cannot be read.
    pub async fn open(&self, id: BatchId) -> Result<Option<Arc<LiveBatch>>, JournalError> {
        self.shared.batches.open(id).await
    }

    /// An owner's batches, newest first, at most `limit` of them, going on behind the cursor `after`. One that is damaged is
    /// left out.
    ///
    /// # Errors
    ///
    /// Where the journal cannot be read.
    pub async fn list(&self, owner: OwnerId, after: Option<u64>, limit: u32) -> Result<Listing, JournalError> {
        let mut listed = self.shared.journal.list(owner, after, limit.saturating_add(1)).await?;
        let goes_on = listed.len() > limit as usize;
        listed.truncate(limit as usize);
        let next = listed.last().filter(|_| goes_on).map(|last| last.cursor);
        let mut batches = Vec::with_capacity(listed.len());
        for Listed { batch, conclusion, .. } in listed {
            let summary = match conclusion {
                Some(summary) => Some(summary),
                None => match self.open(batch).await {
                    Ok(live) => live.map(|live| live.folded().quilt.summary()),
                    Err(error @ JournalError::Damaged { .. }) => {
                        tracing::error!(%error, "left out of a list");
                        None
                    }
                    Err(error) => return Err(error),
                },
            };
            batches.extend(summary.map(|summary| (batch, summary)));
        }
        Ok(Listing { batches, next })
    }

    /// What the workers are doing, for a viewer of a batch.
    #[must_use]
    pub fn load(&self, batch: BatchId) -> Load {
        let Shared { desks, stuck, settings, colleagues, .. } = &*self.shared;
        let mut load = Load {
            now: settings.clock.now(),
            stuck: stuck.load(Ordering::Relaxed),
            nodes: vec![settings.node.clone()],
            workers: desks.iter().map(|desk| desk.look(batch)).collect(),
        };
        colleagues.add_to(&mut load, batch);
        load
    }

    /// Tells the other nodes of this one, and listens to them.
    async fn announce(&self) {
        let Shared { queue, settings, desks, stuck, colleagues, .. } = &*self.shared;
        loop {
            let busy = (1..).zip(desks).filter_map(|(number, desk)| desk.busy(number)).collect();
            let stuck = stuck.load(Ordering::Relaxed);
            queue.announce(&Announcement { node: settings.node.clone(), stuck, busy }).await;
            colleagues.hear(queue.colleagues());
            tokio::time::sleep(ANNOUNCE).await;
        }
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

    fn running(&self) -> MutexGuard<'_, Running> {
        self.shared.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
