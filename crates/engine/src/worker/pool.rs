//! The workers of a node: as many as there is work, and a few that wait for work.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use quilt::BatchId;
use quilt::wire::MAX_RUNNING;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

use super::context::{Worker, WorkerContext};
use super::status::WorkerStatus;
use crate::cluster::{RunningTask, RunningTasks};
use crate::panic_message::panic_message;
use crate::slots::{BySlotClass, Node, SlotClass};

/// The maximum number of waiting workers per class. Enough for a burst to start at once, and few to be woken by a change.
const MAX_WAITING: u32 = 16;

/// The pause before a worker that has panicked is replaced.
const REPLACEMENT_PAUSE: Duration = Duration::from_secs(1);

/// The workers of a node. Each has a slot. Slots are numbered across classes, starting with the first class.
pub(crate) struct WorkerPool {
    statuses: Box<[Arc<WorkerStatus>]>,
    classes: BySlotClass<Mutex<ClassPool>>,
    workers: TaskTracker,
}

/// The slots of one class.
struct ClassPool {
    /// The indexes in [`WorkerPool::statuses`] of free slots. The lowest one is used first, so that few worker names are in use.
    free: BTreeSet<usize>,
    waiting: u32,
}

impl WorkerPool {
    /// Without workers.
    pub(crate) fn of(node: &Node) -> Self {
        let mut next = 0;
        let classes = BySlotClass::from_fn(|class| {
            let first = next;
            next += node.slots[class] as usize;
            Mutex::new(ClassPool { free: (first..next).collect(), waiting: 0 })
        });
        let status = |number| Arc::new(WorkerStatus::new(node, number));
        Self { statuses: (1..).take(next).map(status).collect(), classes, workers: TaskTracker::new() }
    }

    /// Starts workers. More are started whenever there is work.
    pub(crate) fn start(self: &Arc<Self>, context: &Arc<WorkerContext>) {
        for class in SlotClass::ALL {
            for _ in 0..MAX_WAITING {
                self.spawn_worker(class, context);
            }
        }
        self.workers.close();
    }

    /// Waits until all workers have ended.
    pub(crate) async fn ended(&self) {
        self.workers.wait().await;
    }

    /// The tasks of a batch that the workers are running.
    pub(crate) fn running(&self, batch: BatchId) -> RunningTasks {
        let mut longest: Vec<RunningTask> = self.statuses.iter().filter_map(|status| status.running(batch)).collect();
        let count = longest.len() as u32;
        longest.sort_by_key(|task| task.started_at);
        longest.truncate(MAX_RUNNING as usize);
        RunningTasks { count, longest }
    }

    /// Starts a worker that waits for work, unless enough workers are waiting or no slot is free.
    fn spawn_worker(self: &Arc<Self>, class: SlotClass, context: &Arc<WorkerContext>) {
        let slot = {
            let mut slots = self.slots(class);
            if slots.waiting >= MAX_WAITING || context.stopping.is_cancelled() {
                return;
            }
            let Some(slot) = slots.free.pop_first() else { return };
            slots.waiting += 1;
            slot
        };
        let Some(status) = self.statuses.get(slot).cloned() else { return };
        let worker = Worker { context: Arc::clone(context), status };
        let guard = SlotGuard { pool: Arc::clone(self), context: Arc::clone(context), class, slot, is_waiting: true };
        self.workers.spawn(run(guard, worker));
    }

    fn slots(&self, class: SlotClass) -> MutexGuard<'_, ClassPool> {
        self.classes[class].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a worker, and replaces it if it panics, which is a bug of the engine. Its lease has been released by then.
async fn run(guard: SlotGuard, worker: Worker) {
    let (pool, context, class) = (Arc::clone(&guard.pool), Arc::clone(&guard.context), guard.class);
    let name = worker.status.worker.clone();
    if let Err(panic) = AssertUnwindSafe(work(guard, worker)).catch_unwind().await {
        let reason = panic_message(&*panic);
        tracing::error!(worker = name, reason, "a worker has panicked, and is replaced");
        context.stopping.run_until_cancelled(sleep(REPLACEMENT_PAUSE)).await;
        pool.spawn_worker(class, &context);
    }
}

/// Works until enough other workers are waiting, or the process is shutting down.
async fn work(mut guard: SlotGuard, worker: Worker) {
    let context = Arc::clone(&guard.context);
    let source = &context.sources[guard.class];
    while let Some(assignment) = context.stopping.run_until_cancelled(source.next()).await {
        guard.start_work();
        worker.work_on(assignment).await;
        if !guard.end_work() {
            return;
        }
    }
}

/// The slot of a worker. It is free again when this is dropped.
pub(super) struct SlotGuard {
    pool: Arc<WorkerPool>,
    context: Arc<WorkerContext>,
    pub(super) class: SlotClass,
    slot: usize,
    is_waiting: bool,
}

impl SlotGuard {
    /// The worker has a lease. Another one is started to wait in its place.
    pub(super) fn start_work(&mut self) {
        self.is_waiting = false;
        self.pool.slots(self.class).waiting -= 1;
        self.pool.spawn_worker(self.class, &self.context);
    }

    /// The worker has no lease any more. Returns whether it should wait for another one; otherwise enough workers are waiting.
    pub(super) fn end_work(&mut self) -> bool {
        let mut slots = self.pool.slots(self.class);
        self.is_waiting = slots.waiting < MAX_WAITING;
        slots.waiting += u32::from(self.is_waiting);
        self.is_waiting
    }
}

impl Drop for SlotGuard {
    fn drop(&mut self) {
        let mut slots = self.pool.slots(self.class);
        slots.free.insert(self.slot);
        slots.waiting -= u32::from(self.is_waiting);
    }
}
