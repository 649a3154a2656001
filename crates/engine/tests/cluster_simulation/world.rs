//! What a world consists of: its members, the batches that they run, and what their tasks do.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::work::{AsyncWork, Done, KeyLimits, Registry, Task, TaskError, TaskKeys, Work};
use engine::{Clock, Engine, Journal, Node, Settings, SlotClass, Slots};
use quilt::{BatchId, BatchSpec, Change, Color, Event, Grid, Index, OwnerId, Quilt, Status, Timestamp, WorkSpec};
use rand::RngExt;
use tokio::time::{Instant, sleep, timeout};

use crate::network::{Endpoint, Network};

/// Within this time everything has to be done, after the faults are over.
pub(crate) const TOO_LONG: Duration = Duration::from_secs(1_800);

pub(crate) const BATCHES: u8 = 4;
pub(crate) const POISON: Index = Index(37);

thread_local! {
    /// By batch seed and square: how often its task was started, and how many of its tasks run now.
    pub(crate) static TASKS: RefCell<BTreeMap<(u64, u32), Runs>> = const { RefCell::new(BTreeMap::new()) };
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(crate) struct Runs {
    pub(crate) started: u32,
    pub(crate) running: u32,
    /// How often it was started while it ran already.
    pub(crate) doubled: u32,
}

/// Tasks that take from 20 ms to two seconds.
pub(crate) struct Timed;

pub(crate) struct Running(u64, u32);

impl Drop for Running {
    fn drop(&mut self) {
        TASKS.with_borrow_mut(|tasks| tasks.entry((self.0, self.1)).or_default().running -= 1);
    }
}

pub(crate) fn start(task: &Task) -> Running {
    TASKS.with_borrow_mut(|tasks| {
        let runs = tasks.entry((task.seed, task.index.0)).or_default();
        runs.started += 1;
        runs.doubled += u32::from(runs.running > 0);
        runs.running += 1;
    });
    Running(task.seed, task.index.0)
}

#[async_trait]
impl AsyncWork for Timed {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        let _running = start(&task);
        let millis = task.square_rng().random_range(20..200_u64);
        sleep(Duration::from_millis(if task.index.0.is_multiple_of(16) { millis * 10 } else { millis })).await;
        Ok(Color::from_rgb(task.index.0).into())
    }
}

/// The same, in slots for processes.
pub(crate) struct TimedProcess;

#[async_trait]
impl AsyncWork for TimedProcess {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        Timed.run(task).await
    }

    fn slot_class(&self) -> SlotClass {
        SlotClass::Process
    }
}

/// The same, of which one with each of three keys may run.
pub(crate) struct TimedByKey;

#[async_trait]
impl AsyncWork for TimedByKey {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        Timed.run(task).await
    }

    fn keys(&self) -> Option<&dyn TaskKeys> {
        Some(self)
    }
}

impl TaskKeys for TimedByKey {
    fn key(&self, index: Index) -> Option<Box<str>> {
        Some((index.0 % 3).to_string().into())
    }

    fn limits(&self) -> KeyLimits {
        KeyLimits { concurrency: 1, interval: Duration::ZERO }
    }
}

/// Tasks that take long, or no time; some of the latter fail at first.
pub(crate) struct Mixed;

#[async_trait]
impl AsyncWork for Mixed {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        if task.index.0 % 8 == 3 && task.attempt == 1 {
            return Err(TaskError::retryable("not yet"));
        }
        let _running = start(&task);
        if task.index.0.is_multiple_of(8) {
            sleep(Duration::from_secs(task.square_rng().random_range(20..70))).await;
        }
        Ok(Color::from_rgb(task.index.0).into())
    }
}

/// Tasks of which one takes its node with it.
pub(crate) struct Poison(Arc<Network>, engine::dispatch::NodeId);

#[async_trait]
impl AsyncWork for Poison {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        if task.index == POISON {
            self.0.cut_off(self.1, true);
            std::future::pending::<()>().await;
        }
        sleep(Duration::from_millis(20)).await;
        Ok(Color::from_rgb(task.index.0).into())
    }
}

pub(crate) fn id(number: u8) -> BatchId {
    BatchId::from_bytes([number; 16])
}

pub(crate) fn owner(number: u8) -> OwnerId {
    OwnerId::from_bytes([number; 16])
}

pub(crate) fn spec(work: &str, side: u16, seed: u64) -> BatchSpec {
    let work = WorkSpec { kind: work.into(), parameters: serde_json::Map::new() };
    BatchSpec { timeout_ms: 3_600_000, ..BatchSpec::new(work, Grid::new(side, side).expect("a small grid"), seed) }
}

/// A node of a world.
pub(crate) struct Member {
    pub(crate) engine: Engine,
    pub(crate) endpoint: Arc<Endpoint>,
}

/// The clock of a node: most are off by seconds, some by a month or since 1970, and some are set back while the node runs.
fn clock(network: &Network) -> Clock {
    const HOUR: u64 = 3_600_000;
    const MONTH: u64 = 31 * 24 * HOUR;
    let right = 1_790_000_000_000;
    let (started, set) = network.random(|random| match random.random_range(0..8) {
        0 => (right + MONTH, None),
        1 => (right - MONTH, None),
        2 => (0, None),
        3 => (right, Some((Duration::from_secs(random.random_range(1..60)), Timestamp(right - HOUR)))),
        4 => (right - HOUR, Some((Duration::from_secs(random.random_range(1..60)), Timestamp(right)))),
        _ => (right + random.random_range(0..5_000), None),
    });
    Clock::Simulated { started: Timestamp(started), at: Instant::now(), set }
}

pub(crate) async fn join(network: &Arc<Network>, slots: u32) -> Member {
    join_with(network, Slots::all(slots), Registry::default()).await
}

/// Adds a node that also knows other kinds of work.
pub(crate) async fn join_with(network: &Arc<Network>, slots: Slots, registry: Registry) -> Member {
    let endpoint = network.join();
    let name = format!("node-{}", endpoint.id());
    let settings = Settings {
        node: Node { name: name.into(), slots, ..Settings::default().node },
        processors: 1,
        clock: clock(network),
        ..Settings::default()
    };
    let (of_poison, poisoned) = (Arc::clone(network), endpoint.id());
    let registry = registry
        .with_work("timed", || Work::waiting(Timed))
        .with_work("keyed", || Work::waiting(TimedByKey))
        .with_work("mixed", || Work::waiting(Mixed))
        .with_work("poison", move || Work::waiting(Poison(Arc::clone(&of_poison), poisoned)));
    let engine = loop {
        let journal: Arc<dyn Journal> = Arc::clone(&endpoint) as _;
        match Engine::start(journal, Some(endpoint.cluster()), registry.clone(), settings.clone()).await {
            Ok(engine) => break engine,
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    };
    Member { engine, endpoint }
}

/// Says which world it was, if the test fails in it.
pub(crate) struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("it was in the world of SIMULATION_SEED={}", self.0);
        }
    }
}

/// Runs a world on a clock and a thread of its own, and returns what became of its tasks.
pub(crate) fn in_world<F: Future<Output = ()>>(
    seed: u64,
    loss: f64,
    live: impl FnOnce(Arc<Network>) -> F,
) -> (Arc<Network>, BTreeMap<(u64, u32), Runs>) {
    let _seed = Seed(seed);
    TASKS.with_borrow_mut(BTreeMap::clear);
    let network = Network::new(seed, loss);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(live(Arc::clone(&network)));
    let tasks = TASKS.with_borrow(Clone::clone);
    drop(runtime);
    (network, tasks)
}

pub(crate) async fn finished(member: &Member, batch: BatchId) {
    let finished = async {
        loop {
            if let Ok(Some(live)) = member.engine.open(batch).await {
                return live.wait_until(|quilt| quilt.status() == Status::Finished).await;
            }
        }
    };
    timeout(TOO_LONG, finished).await.expect("every batch comes to its finish line");
}

/// Each square is settled once, and there is one finish line.
pub(crate) fn check(network: &Network, batch: BatchId) -> Quilt {
    let events = network.journal.events(batch);
    let Some(Event::Launched(launched)) = events.first() else { panic!("it starts with a launch") };
    let mut quilt = Quilt::new(launched.clone());
    let mut changes = Vec::new();
    for event in &events {
        quilt.apply(event, &mut changes);
    }
    let settled = changes.iter().filter(|change| matches!(change, Change::Settled(_))).count();
    assert_eq!(settled as u32, quilt.progress().tasks);
    assert_eq!(changes.iter().filter(|change| **change == Change::Finished).count(), 1);
    let summary = quilt.summary();
    assert!(summary.started_at >= summary.created_at && summary.ended_at >= Some(summary.started_at), "{summary:?}");
    quilt
}

/// The tasks that were started more than once.
pub(crate) fn more_than_once(tasks: &BTreeMap<(u64, u32), Runs>) -> BTreeMap<(u64, u32), Runs> {
    tasks.iter().filter(|(_, runs)| runs.started > 1).map(|(task, runs)| (*task, *runs)).collect()
}

/// Launches a batch on each member in turn.
pub(crate) async fn launch(members: &[Member], work: &str, side: u16) {
    for number in 0..BATCHES {
        let member = &members[usize::from(number) % members.len()];
        let spec = spec(work, side, number.into());
        while member.engine.launch(id(number), owner(number), spec.clone(), None).await.is_err() {
            sleep(Duration::from_millis(100)).await;
        }
    }
}

pub(crate) async fn all_finished(member: &Member) {
    for number in 0..BATCHES {
        finished(member, id(number)).await;
    }
}

/// Replaces four of three nodes of so many slots, one after the other, while batches run. The tasks of the one that leaves may end.
pub(crate) async fn rolling_restart(network: &Arc<Network>, (work, side): (&str, u16), slots: u32, pauses: Range<u64>) {
    let mut members = vec![join(network, slots).await, join(network, slots).await, join(network, slots).await];
    launch(&members, work, side).await;
    for _ in 0..4 {
        sleep(Duration::from_millis(network.random(|random| random.random_range(pauses.clone())))).await;
        let leaving = members.remove(network.random(|random| random.random_range(0..members.len())));
        members.push(join(network, slots).await);
        leaving.engine.shutdown(Duration::from_secs(100)).await;
    }
    all_finished(&members[0]).await;
}
