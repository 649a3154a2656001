//! An engine on a real journal file, and work that misbehaves.

#![allow(dead_code, reason = "each test file is a crate of its own and uses its share of this")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use engine::embedded::SqliteJournal;
use engine::work::{AsyncWork, Done, Registry, Task, TaskError, Work};
use engine::{Engine, LiveBatch, Node, Settings, Slots};
use futures::FutureExt;
use quilt::wire::Load;
use quilt::{BatchId, BatchSpec, Color, Grid, OwnerId, Quilt, Status, WorkSpec};
use tokio::sync::Semaphore;

/// How long a test waits for something before it has failed. Nothing that goes well takes nearly as long, on whatever machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

pub(crate) const OWNER: OwnerId = OwnerId::from_bytes([1; 16]);
pub(crate) const STRANGER: OwnerId = OwnerId::from_bytes([2; 16]);
pub(crate) const WORKERS: u32 = 8;

/// Work whose tasks misbehave by their square: 0 panics, 1 errs for good, 2 hangs, 3 needs three attempts.
struct Misbehaving;

#[async_trait]
impl AsyncWork for Misbehaving {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        match task.index.0 {
            0 => panic!("square 0 panics"),
            1 => Err(TaskError::permanent("square 1 errs for good")),
            2 => std::future::pending().await,
            3 if task.attempt < 3 => Err(TaskError::retryable("not yet")),
            other => Ok(Color::from_rgb(other).into()),
        }
    }
}

/// Work that never ends by itself.
struct Hanging;

#[async_trait]
impl AsyncWork for Hanging {
    async fn run(&self, _task: Task) -> Result<Done, TaskError> {
        std::future::pending().await
    }
}

pub(crate) fn registry() -> Registry {
    Registry::default()
        .with_work("misbehaving", || Work::waiting(Misbehaving))
        .with_work("hanging", || Work::waiting(Hanging))
}

pub(crate) async fn start(folder: &Path) -> Engine {
    start_with(folder, registry()).await
}

pub(crate) const SETTINGS: fn() -> Settings =
    || Settings { node: node(WORKERS), running_per_owner: 4, ..Settings::default() };

pub(crate) fn node(slots: u32) -> Node {
    Node { slots: Slots::all(slots), ..Settings::default().node }
}

pub(crate) async fn start_with(folder: &Path, registry: Registry) -> Engine {
    start_as(folder, registry, SETTINGS()).await
}

pub(crate) async fn start_as(folder: &Path, registry: Registry, settings: Settings) -> Engine {
    let journal = SqliteJournal::open(&folder.join("quilt.db")).expect("a fresh or an own file");
    Engine::start(Arc::new(journal), None, registry, settings).await.expect("the journal answers")
}

pub(crate) fn id(number: u8) -> BatchId {
    BatchId::from_bytes([number; 16])
}

pub(crate) fn spec(work: &str, side: u16) -> BatchSpec {
    let work: WorkSpec = serde_json::from_str(work).expect("a work spec");
    let grid = Grid::new(side, side).expect("a small grid");
    // However busy the machine is, no attempt is over before it ends.
    BatchSpec { timeout_ms: 3_600_000, ..BatchSpec::new(work, grid, 11) }
}

/// Sixteen tasks, the first ones of which misbehave. The one that hangs is over after 200 ms; the others do not wait, and so cannot be too late.
pub(crate) fn misbehaving() -> BatchSpec {
    BatchSpec { timeout_ms: 200, ..spec(r#"{"kind": "misbehaving"}"#, 4) }
}

pub(crate) async fn open(engine: &Engine, batch: BatchId) -> Arc<LiveBatch> {
    engine.open(batch).await.expect("the journal answers").expect("the batch exists")
}

pub(crate) async fn finished(engine: &Engine, batch: BatchId) -> Quilt {
    let batch = open(engine, batch).await;
    let reached = batch.wait_until(|quilt| quilt.status() == Status::Finished);
    tokio::time::timeout(PATIENCE, reached).await.expect("the batch reaches its finish line");
    batch.folded().quilt.clone()
}

/// Waits for something that is about to be so. Tokio's time does not go on meanwhile where it is paused: the runtime is never idle.
/// What runs of a batch, on an engine that is alone.
pub(crate) fn load(engine: &Engine, batch: &LiveBatch) -> Load {
    engine.load(batch).now_or_never().expect("nobody else is asked")
}

pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "not so after {PATIENCE:?}: {what}");
        // For the processor, which others may need. Who waits here has nothing else to do.
        std::thread::sleep(Duration::from_micros(200));
        tokio::task::yield_now().await;
    }
}

/// Tasks that end when they are let through, and count.
pub(crate) struct Gate {
    running: AtomicU32,
    pub(crate) most: AtomicU32,
    started: AtomicU32,
    pub(crate) passes: Semaphore,
}

impl Gate {
    pub(crate) const fn new() -> Self {
        Self {
            running: AtomicU32::new(0),
            most: AtomicU32::new(0),
            started: AtomicU32::new(0),
            passes: Semaphore::const_new(0),
        }
    }

    pub(crate) fn running(&self) -> u32 {
        self.running.load(Ordering::SeqCst)
    }

    pub(crate) fn started(&self) -> u32 {
        self.started.load(Ordering::SeqCst)
    }

    pub(crate) async fn pass(&self, task: Task) -> Result<Done, TaskError> {
        self.started.fetch_add(1, Ordering::SeqCst);
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        let passed = self.passes.acquire().await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        passed.expect("it is never closed").forget();
        Ok(Color::from_rgb(task.index.0).into())
    }
}

/// Work whose tasks go through a gate.
pub(crate) struct Gated(pub(crate) &'static Gate);

#[async_trait]
impl AsyncWork for Gated {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        self.0.pass(task).await
    }
}
