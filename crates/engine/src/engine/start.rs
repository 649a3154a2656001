//! The start of an engine, and its end.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quilt::Control;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::settings::Settings;
use super::shared::{Engine, Shared};
use crate::activity::Desk;
use crate::colleagues::{Colleagues, worker_name};
use crate::journal::{Journal, JournalError};
use crate::live::LiveBatches;
use crate::panics::install_hook;
use crate::queue::{LapId, Queue};
use crate::work::Registry;
use crate::worker::Worker;

/// One worker of this many may wait for a place with a batch that has as many running tasks as it may have.
const QUEUEING_SHARE: usize = 8;

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

    /// Pauses every batch that this node has taken over.
    async fn pause_all(&self) {
        let laps: Vec<LapId> = self.running().here.keys().copied().collect();
        for lap in laps {
            let Ok(Some(batch)) = self.open(lap.batch).await else { continue };
            if let Err(error) = self.control(lap.batch, batch.owner(), Control::Pause).await {
                tracing::error!(batch = %lap.batch, %error, "it could not be paused");
            }
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

    /// Closes the journal, after [`Engine::shutdown`]. Batches can no longer be read.
    pub async fn close(&self) {
        self.shared.journal.close().await;
    }
}
