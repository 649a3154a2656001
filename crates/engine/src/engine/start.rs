//! Startup and shutdown of an engine.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quilt::Control;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::batch_locks::BatchLocks;
use super::settings::Settings;
use super::shared::{Engine, OtherNodes, Shared};
use crate::cluster::{Cluster, PeerLoad, Peers, Remote, Service};
use crate::dispatch::{CrashLog, LapId, Scheduler};
use crate::journal::{Journal, JournalError};
use crate::lease_id::first_epoch;
use crate::live::LiveBatches;
use crate::panics::install_hook;
use crate::results::ResultCache;
use crate::slots::BySlotClass;
use crate::work::Registry;
use crate::worker::{WorkSource, WorkerContext, WorkerPool};

/// How long a node that shuts down waits for coordinators to acknowledge released leases.
const FLUSH_TIME: Duration = Duration::from_secs(2);

impl Engine {
    /// Starts the workers, and adopts every unfinished lap that no other node coordinates.
    ///
    /// The first call in a process installs a panic hook. It ignores panics of tasks, which the engine catches and logs once per batch, and
    /// passes all others to the previous hook. A program with its own hook must install it before this call.
    ///
    /// # Errors
    ///
    /// If the unfinished batches cannot be read from the journal. A damaged batch is logged and skipped.
    pub async fn start(
        journal: Arc<dyn Journal>,
        cluster: Option<Cluster>,
        registry: Registry,
        settings: Settings,
    ) -> Result<Self, JournalError> {
        install_hook();
        let node = &settings.node;
        let pool = Arc::new(WorkerPool::of(node));
        let scheduler = Arc::new(Scheduler::default());
        let peers = Arc::new(Peers::of(node));
        // Twice the number of processors, because some tasks wait for the journal.
        let cpu_bound_slots = settings.processors.saturating_mul(2);
        let cluster = cluster.map(|cluster| OtherNodes {
            remote: Remote::new(Arc::clone(&cluster.messages), Arc::clone(&peers), cpu_bound_slots),
            load: PeerLoad::new(Arc::clone(&cluster.messages), Arc::clone(&peers)),
            cluster,
            live: Arc::default(),
        });
        let source = |class| {
            let remote = cluster.as_ref().map(|cluster| Arc::clone(&cluster.remote));
            let slots = (node.slots[class], settings.reserved_slots[class]);
            Arc::new(WorkSource::new(Arc::clone(&scheduler), Arc::clone(&peers), remote, cpu_bound_slots, class, slots))
        };
        let batches = Arc::new(LiveBatches::new(Arc::clone(&journal), registry.clone()));
        let context = WorkerContext {
            sources: BySlotClass::from_fn(source),
            journal: Arc::clone(&journal),
            batches: Arc::clone(&batches),
            clock: settings.clock,
            unresponsive: AtomicU32::new(0),
            stopping: CancellationToken::new(),
            aborting: CancellationToken::new(),
        };
        let shared = Arc::new(Shared {
            batches,
            results: ResultCache::default(),
            journal,
            pool,
            context: Arc::new(context),
            cluster,
            epochs: AtomicU64::new(settings.first_epoch.unwrap_or_else(|| first_epoch(settings.clock.now()))),
            scheduler,
            registry,
            peers,
            settings,
            running: Mutex::default(),
            changing: BatchLocks::default(),
            removed: Notify::new(),
            handing_over: CancellationToken::new(),
            ended: CancellationToken::new(),
            laps: TaskTracker::new(),
            background_tasks: TaskTracker::new(),
        });
        let engine = Self { shared };
        engine.open_crash_log();
        engine.start_messages();
        let mut left_alone = HashSet::new();
        engine.adopt_laps(&mut left_alone).await?;
        {
            let running = engine.running();
            engine.shared.scheduler.retain_suspects(|lap| running.here.contains_key(&lap));
        }
        if engine.shared.settings.pauses_unfinished {
            engine.pause_all().await;
        }
        let Shared { pool, context, ended, scheduler, .. } = &*engine.shared;
        pool.start(context);
        let stopping = &context.stopping;
        let timers = Arc::clone(scheduler);
        engine.in_background(ended, |_| async move { timers.run_timers().await });
        engine.in_background(stopping, |engine| async move { engine.clean_up().await });
        engine.in_background(stopping, |engine| async move { engine.reconcile_laps(left_alone).await });
        engine.in_background(ended, |engine| async move { engine.keep_accounts().await });
        Ok(engine)
    }

    fn open_crash_log(&self) {
        let Some(path) = &self.shared.settings.crash_log else { return };
        match CrashLog::open(path) {
            Ok((log, suspected)) => self.shared.scheduler.record_in(log, suspected),
            Err(error) => {
                let path = path.display();
                tracing::warn!(%path, %error, "cannot record what runs: a task that kills this process may not be found");
            }
        }
    }

    /// Runs a future in the background until a token is cancelled.
    fn in_background<F: Future<Output = ()> + Send + 'static>(
        &self,
        until: &CancellationToken,
        work: impl FnOnce(Self) -> F,
    ) {
        let until = until.clone();
        let work = work(self.clone());
        self.shared.background_tasks.spawn(async move { until.run_until_cancelled(work).await });
    }

    /// Starts exchanging messages with other nodes.
    fn start_messages(&self) {
        let Shared { cluster, scheduler, peers, ended, pool, .. } = &*self.shared;
        let Some(OtherNodes { cluster, remote, live, .. }) = cluster else { return };
        let pool = Arc::clone(pool);
        let service = Service::new(
            Arc::clone(&cluster.messages),
            Arc::clone(scheduler),
            Arc::clone(peers),
            Arc::clone(remote),
            Arc::clone(live),
            Box::new(move |batch| pool.running(batch)),
        );
        self.in_background(ended, |_| async move { service.run().await });
        self.in_background(ended, |engine| async move { engine.receive_statuses().await });
        self.in_background(ended, |engine| async move { engine.publish_statuses().await });
    }

    /// Pauses every batch that this node has adopted.
    async fn pause_all(&self) {
        let laps: Vec<LapId> = self.running().here.keys().copied().collect();
        for lap in laps {
            let Ok(Some(batch)) = self.open(lap.batch).await else { continue };
            if let Err(error) = self.control(lap.batch, batch.owner(), Control::Pause).await {
                tracing::error!(batch = %lap.batch, %error, "it could not be paused");
            }
        }
    }

    /// Shuts the engine down: no more tasks start, and running ones have `grace` to end before they are cancelled. Other nodes adopt the
    /// remaining laps immediately. Without other nodes the laps continue when the engine is started again.
    pub async fn shutdown(&self, grace: Duration) {
        let Shared { pool, context, handing_over, ended, laps, background_tasks, cluster, .. } = &*self.shared;
        let WorkerContext { stopping, aborting, .. } = &**context;
        stopping.cancel();
        if tokio::time::timeout(grace, pool.ended()).await.is_err() {
            tracing::info!("cancelling the tasks that still run");
        }
        aborting.cancel();
        pool.ended().await;
        if let Some(cluster) = cluster
            && tokio::time::timeout(FLUSH_TIME, cluster.remote.flush()).await.is_err()
        {
            tracing::warn!("a coordinator does not answer; it takes back what this node held when the leases expire");
        }
        handing_over.cancel();
        laps.close();
        if tokio::time::timeout(FLUSH_TIME, laps.wait()).await.is_err() {
            tracing::warn!("some batches could not be handed over in time; other nodes continue them in a while");
        }
        ended.cancel();
        laps.wait().await;
        background_tasks.close();
        background_tasks.wait().await;
    }

    /// Closes the journal, after [`Engine::shutdown`]. Batches can no longer be read.
    pub async fn close(&self) {
        self.shared.journal.close().await;
    }
}
