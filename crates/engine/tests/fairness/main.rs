//! Who gets how much, as counts of tasks that were started, on a simulated clock.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

#[path = "../memory/mod.rs"]
mod memory;
mod shares;
mod waiting;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::work::{AsyncWork, Done, KeyLimits, Registry, Task, TaskError, TaskKeys, Work};
use engine::{Clock, Engine, Launcher, Node, Settings, SlotClass, Slots};
use quilt::{BatchId, BatchSpec, Color, Grid, Index, OwnerId, Status, WorkSpec};
use tokio::time::{sleep, timeout};

use crate::memory::MemoryJournal;

const SLOTS: u32 = 8;
const TOO_LONG: Duration = Duration::from_secs(7_200);

thread_local! {
    /// How many tasks of each batch were started, by its seed.
    static STARTED: RefCell<BTreeMap<u64, u32>> = const { RefCell::new(BTreeMap::new()) };
    /// How many tasks of each key run.
    static RUNNING: RefCell<BTreeMap<Box<str>, u32>> = const { RefCell::new(BTreeMap::new()) };
}

fn started(seed: u64) -> u32 {
    STARTED.with_borrow(|started| started.get(&seed).copied().unwrap_or_default())
}

/// Tasks that take so long in a slot of some class, and fail if they are to.
struct Takes(Duration, bool, SlotClass);

#[async_trait]
impl AsyncWork for Takes {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        STARTED.with_borrow_mut(|started| *started.entry(task.seed).or_default() += 1);
        sleep(self.0).await;
        if self.1 { Err(TaskError::retryable("as always")) } else { Ok(Color::from_rgb(1).into()) }
    }

    fn slot_class(&self) -> SlotClass {
        self.2
    }
}

/// Tasks of 100 ms with ten keys, of which three in four tasks have the first. One of it has to wait for a minute.
struct Keyed;

#[async_trait]
impl AsyncWork for Keyed {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        let key = self.key(task.index).unwrap_or_default();
        RUNNING.with_borrow_mut(|running| *running.entry(key.clone()).or_default() += 1);
        STARTED.with_borrow_mut(|started| *started.entry(task.seed).or_default() += 1);
        assert!(RUNNING.with_borrow(|running| running[&key] <= self.limits().concurrency), "{key}");
        sleep(Duration::from_millis(100)).await;
        RUNNING.with_borrow_mut(|running| *running.entry(key).or_default() -= 1);
        if task.index.0 == 1 && task.attempt == 1 {
            return Err(TaskError::retryable("busy").with_key_pause(Duration::from_secs(60)));
        }
        Ok(Color::from_rgb(1).into())
    }

    fn keys(&self) -> Option<&dyn TaskKeys> {
        Some(self)
    }
}

impl TaskKeys for Keyed {
    fn key(&self, index: Index) -> Option<Box<str>> {
        Some(if index.0.is_multiple_of(4) { (index.0 % 9 + 1).to_string().into() } else { "0".into() })
    }

    fn limits(&self) -> KeyLimits {
        KeyLimits { concurrency: 2, interval: Duration::ZERO }
    }
}

/// Tasks that find what they need occupied twice, and then take no time.
struct Occupied;

#[async_trait]
impl AsyncWork for Occupied {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        let calls = STARTED.with_borrow_mut(|started| {
            let calls = started.entry(task.seed).or_default();
            *calls += 1;
            *calls
        });
        assert_eq!(task.attempt, 1, "a snooze is no attempt");
        if calls <= 2 { Err(TaskError::snooze(Duration::from_secs(60))) } else { Ok(Color::from_rgb(1).into()) }
    }
}

async fn start(reserved_slots: u32) -> Engine {
    start_on(Arc::default(), Clock::System, reserved_slots).await
}

async fn start_on(journal: Arc<MemoryJournal>, clock: Clock, reserved_slots: u32) -> Engine {
    let settings = Settings {
        node: Node { slots: Slots::all(SLOTS), ..Settings::default().node },
        processors: 1,
        reserved_slots: Slots::all(reserved_slots),
        clock,
        ..Settings::default()
    };
    let takes = |millis, fails, class| move || Work::waiting(Takes(Duration::from_millis(millis), fails, class));
    let [waits, computes, spawns] = SlotClass::ALL;
    let registry = Registry::default()
        .with_work("short", takes(100, false, waits))
        .with_work("short-compute", takes(100, false, computes))
        .with_work("short-process", takes(100, false, spawns))
        .with_work("failing", takes(5, true, waits))
        .with_work("keyed", || Work::waiting(Keyed))
        .with_work("occupied", || Work::waiting(Occupied))
        .with_work("hour", takes(3_600_000, false, waits))
        .with_work("hour-compute", takes(3_600_000, false, computes))
        .with_work("hour-process", takes(3_600_000, false, spawns));
    Engine::start(journal, None, registry, settings).await.expect("it starts")
}

/// Launches a batch of a square grid for an owner, and returns its id.
async fn launch(engine: &Engine, owner: u8, work: &str, side: u16, seed: u64) -> BatchId {
    launch_with(engine, owner, spec(work, side, seed)).await
}

fn spec(work: &str, side: u16, seed: u64) -> BatchSpec {
    let work = WorkSpec { kind: work.into(), parameters: serde_json::Map::new() };
    let grid = Grid::new(side, side).expect("a grid");
    BatchSpec { timeout_ms: u32::MAX, attempts: 20, ..BatchSpec::new(work, grid, seed) }
}

async fn launch_with(engine: &Engine, owner: u8, spec: BatchSpec) -> BatchId {
    launch_as(engine, OwnerId::from_bytes([owner; 16]).into(), spec).await
}

async fn launch_as(engine: &Engine, launcher: Launcher, spec: BatchSpec) -> BatchId {
    let id = BatchId::from_bytes(u128::from(spec.seed).to_be_bytes());
    engine.launch(id, launcher, spec, None).await.expect("accepted");
    id
}

async fn finished(engine: &Engine, id: BatchId) {
    let batch = engine.open(id).await.expect("it answers").expect("it is there");
    let finished = batch.wait_until(|quilt| quilt.status() == Status::Finished);
    timeout(TOO_LONG, finished).await.expect("it comes to its finish line");
}
