//! Who gets how much, as counts of tasks that were started, on a simulated clock.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod memory;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::dispatch::Waiting;
use engine::work::{AsyncWork, Done, KeyLimits, Registry, Task, TaskError, TaskKeys, Work};
use engine::{Clock, Engine, Node, Settings, SlotClass, Slots};
use quilt::{
    BatchId, BatchSpec, CancelCause, Color, Control, Grid, Index, OwnerId, Priority, Status, Timestamp, WorkSpec,
};
use tokio::time::{Instant, sleep, timeout};

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
    let id = BatchId::from_bytes(u128::from(spec.seed).to_be_bytes());
    engine.launch(id, OwnerId::from_bytes([owner; 16]), spec, None).await.expect("accepted");
    id
}

async fn finished(engine: &Engine, id: BatchId) {
    let batch = engine.open(id).await.expect("it answers").expect("it is there");
    let finished = batch.wait_until(|quilt| quilt.status() == Status::Finished);
    timeout(TOO_LONG, finished).await.expect("it comes to its finish line");
}

#[tokio::test(start_paused = true)]
async fn owners_share_the_workers_however_many_batches_they_have() {
    let engine = start(0).await;
    for seed in 1..=4 {
        launch(&engine, 1, "short", 40, seed).await;
    }
    sleep(Duration::from_secs(10)).await;
    let before: u32 = (1..=4).map(started).sum();
    let of_other = launch(&engine, 2, "short", 20, 5).await;
    finished(&engine, of_other).await;
    let meanwhile = (1..=4).map(started).sum::<u32>() - before;
    // The newcomer is two seconds of work ahead.
    assert!((350..=420).contains(&meanwhile), "{meanwhile} beside 400");
    let each: Vec<u32> = (1..=4).map(started).collect();
    assert!(each.iter().max().expect("four") - each.iter().min().expect("four") <= SLOTS, "{each:?}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_beside_one_that_fails_and_is_retried_gets_half_of_the_workers() {
    let engine = start(0).await;
    launch(&engine, 1, "failing", 200, 1).await;
    for round in 0..3 {
        sleep(Duration::from_secs(10)).await;
        let before = Instant::now();
        let small = launch(&engine, 2, "short", 8, 10 + round).await;
        finished(&engine, small).await;
        // 64 tasks of 100 ms on four of eight workers.
        assert!(before.elapsed() <= Duration::from_millis(2_000), "round {round}: {:?}", before.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_takes_the_slots_that_are_for_those_who_have_none() {
    let engine = start(1).await;
    let long = launch(&engine, 1, "hour", 4, 1).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(started(1), SLOTS - 1);
    assert!(engine.why(long, Index(0)).await.expect("it answers").is_some());
    for owner in 2..6 {
        let small = launch(&engine, owner, "short", 2, owner.into()).await;
        finished(&engine, small).await;
        assert_eq!(started(1), SLOTS - 1, "no hour is over");
    }
}

#[tokio::test(start_paused = true)]
async fn every_class_has_slots_of_its_own_and_keeps_some_of_them() {
    let engine = start(1).await;
    for (seed, work) in [(1, "hour"), (2, "hour-compute"), (3, "hour-process")] {
        launch(&engine, 1, work, 4, seed).await;
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!([1, 2, 3].map(started), [SLOTS - 1; 3], "each has a class to itself");
    let before = Instant::now();
    for (seed, work) in [(4, "short"), (5, "short-compute"), (6, "short-process")] {
        let small = launch(&engine, 2, work, 2, seed).await;
        finished(&engine, small).await;
    }
    // Four tasks of 100 ms each, one after the other.
    assert!(before.elapsed() < Duration::from_millis(1_300), "{:?}", before.elapsed());
    assert_eq!([1, 2, 3].map(started), [SLOTS - 1; 3], "no hour is over");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_tasks_that_wait_run_at_once() {
    let registry = Registry::default()
        .with_work("hour", || Work::waiting(Takes(Duration::from_secs(3_600), false, SlotClass::Async)));
    let journal = Arc::new(MemoryJournal::default());
    let engine = Engine::start(journal, None, registry, Settings::default()).await.expect("it starts");
    let id = launch(&engine, 1, "hour", 40, 1).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(started(1), 1_024);
    let batch = engine.open(id).await.expect("it answers").expect("it is there");
    let load = engine.load(&batch).await;
    assert_eq!((load.running(), load.slots(), load.longest.len()), (1_024, 1_024, 64), "some are named");
    assert!(load.longest.is_sorted_by_key(|running| running.started_at) && !load.is_complete());
    finished(&engine, id).await;
    assert_eq!(engine.load(&batch).await.running(), 0);
    engine.shutdown(Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_task_waits_for_can_be_asked() {
    let engine = start(0).await;
    let owner = OwnerId::from_bytes([1; 16]);
    let long = launch(&engine, 1, "hour", 4, 1).await;
    sleep(Duration::from_secs(1)).await;
    let whys = async |id: BatchId, squares: u32| {
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for index in 0..squares {
            let why = engine.why(id, Index(index)).await.expect("it answers");
            *counts.entry(format!("{why:?}")).or_default() += 1;
        }
        counts
    };
    let some = |waiting: Waiting| format!("{:?}", Some(waiting));
    assert_eq!(whys(long, 16).await, [(some(Waiting::Running), 8), (some(Waiting::Turn), 8)].into());
    engine.control(long, owner, Control::SetConcurrency(Some(8))).await.expect("accepted");
    let limit = Waiting::Limit { concurrency: 8 };
    assert_eq!(whys(long, 16).await, [(some(Waiting::Running), 8), (some(limit), 8)].into());
    engine.control(long, owner, Control::Pause).await.expect("accepted");
    assert_eq!(whys(long, 16).await, [(some(Waiting::Running), 8), (some(Waiting::Paused), 8)].into());
    engine.cancel(long, owner, quilt::Halt::Now).await.expect("accepted");
    assert_eq!(whys(long, 16).await, [("None".into(), 16)].into(), "nothing of it is pending");

    let failing = launch(&engine, 1, "failing", 1, 2).await;
    sleep(Duration::from_millis(8)).await;
    let why = engine.why(failing, Index(0)).await.expect("it answers");
    assert!(matches!(why, Some(Waiting::Retry { in_ms: 1.. })), "{why:?}");
    assert_eq!(engine.why(failing, Index(1)).await.expect("it answers"), None, "there is no such square");
}

#[tokio::test(start_paused = true)]
async fn a_snoozed_task_is_run_again_after_its_time_holds_no_worker_and_has_made_no_attempt() {
    let engine = start(0).await;
    let before = Instant::now();
    let snoozing = launch(&engine, 1, "occupied", 1, 1).await;
    sleep(Duration::from_secs(1)).await;
    let why = engine.why(snoozing, Index(0)).await.expect("it answers");
    assert!(matches!(why, Some(Waiting::Retry { in_ms: 58_000..=60_000 })), "{why:?}");
    let other = launch(&engine, 1, "short", 3, 2).await;
    finished(&engine, other).await;
    assert!(before.elapsed() < Duration::from_secs(2), "all workers are free for others");
    finished(&engine, snoozing).await;
    assert_eq!(before.elapsed().as_secs(), 120);
    let square =
        engine.square(snoozing, quilt::Square { row: 0, column: 0 }).await.expect("it answers").expect("it is there");
    assert_eq!(square.attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1]);
}

/// How many tasks two batches start in a minute, launched by these owners with these priorities.
async fn starts_of_two(owners: [u8; 2], priorities: [Priority; 2]) -> [u32; 2] {
    let engine = start(0).await;
    let seeds: [u64; 2] = [101, 102];
    for ((owner, priority), seed) in owners.into_iter().zip(priorities).zip(seeds) {
        launch_with(&engine, owner, BatchSpec { priority, ..spec("short", 100, seed) }).await;
    }
    // The first chunks are cut before it is known how long a task takes.
    sleep(Duration::from_secs(5)).await;
    let before = seeds.map(started);
    sleep(Duration::from_secs(60)).await;
    engine.shutdown(Duration::from_secs(5)).await;
    let after = seeds.map(started);
    [after[0] - before[0], after[1] - before[1]]
}

#[tokio::test(start_paused = true)]
async fn a_priority_is_a_ratio_of_shares_among_batches_and_among_owners() {
    use Priority::{High, Low, Normal};
    for owners in [[1, 1], [1, 2]] {
        for (priorities, ratio) in
            [([High, Normal], 4.0), ([Normal, Low], 4.0), ([High, Low], 16.0), ([High, High], 1.0), ([Low, Low], 1.0)]
        {
            let [more, fewer] = starts_of_two(owners, priorities).await;
            let found = f64::from(more) / f64::from(fewer);
            assert!((found / ratio - 1.0).abs() < 0.1, "{owners:?} {priorities:?}: {more} and {fewer}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_owner_has_the_weight_of_the_batch_with_the_highest_priority_that_is_ready() {
    let engine = start(0).await;
    let high = launch_with(&engine, 1, BatchSpec { priority: Priority::High, ..spec("short", 100, 1) }).await;
    launch(&engine, 1, "short", 100, 2).await;
    launch(&engine, 2, "short", 100, 3).await;
    let starts = async || {
        sleep(Duration::from_secs(5)).await;
        let before = [1, 2, 3].map(started);
        sleep(Duration::from_secs(60)).await;
        let after = [1, 2, 3].map(started);
        [0, 1, 2].map(|batch| f64::from(after[batch] - before[batch]))
    };
    let is_near = |found: f64, expected: f64| (found / expected - 1.0).abs() < 0.1;
    let [first, second, other] = starts().await;
    assert!(is_near(first / second, 4.0) && is_near((first + second) / other, 4.0), "{first} {second} {other}");
    engine.control(high, OwnerId::from_bytes([1; 16]), Control::Pause).await.expect("accepted");
    let [first, second, other] = starts().await;
    assert!(first == 0.0 && is_near(second / other, 1.0), "{first} {second} {other}");
}

#[tokio::test(start_paused = true)]
async fn nothing_starts_before_its_time_and_everything_after_it_also_after_a_restart() {
    let (journal, started_at) = (Arc::<MemoryJournal>::default(), Timestamp(1_790_000_000_000));
    let clock = Clock::Simulated { started: started_at, at: Instant::now() };
    let engine = start_on(Arc::clone(&journal), clock, 0).await;
    let not_before = started_at.plus_millis(3_600_000);
    // The time limit of a lap counts from its start.
    let later = BatchSpec { not_before: Some(not_before), deadline_ms: Some(600_000), ..spec("short", 4, 1) };
    let id = launch_with(&engine, 1, later).await;
    let past = launch_with(&engine, 1, BatchSpec { not_before: Some(Timestamp(7)), ..spec("short", 4, 2) }).await;
    finished(&engine, past).await;
    sleep(Duration::from_secs(1_790)).await;
    let why = engine.why(id, Index(0)).await.expect("it answers");
    assert!(matches!(why, Some(Waiting::NotBefore { in_ms: 1_800_000..=1_810_000 })), "{why:?}");
    engine.shutdown(Duration::from_secs(5)).await;

    let engine = start_on(journal, clock, 0).await;
    let batch = engine.open(id).await.expect("it answers").expect("it is there");
    sleep(Duration::from_millis(not_before.millis_since(clock.now()) - 1)).await;
    assert_eq!((started(1), batch.folded().quilt.status()), (0, Status::Running));
    sleep(Duration::from_millis(50)).await;
    assert_eq!(started(1), SLOTS, "as many as there are workers");
    finished(&engine, id).await;
    assert_eq!(started(1), 16);
}

#[tokio::test(start_paused = true)]
async fn the_time_limit_of_a_lap_counts_from_the_time_at_which_it_may_start() {
    let clock = Clock::Simulated { started: Timestamp(1_790_000_000_000), at: Instant::now() };
    let engine = start_on(Arc::default(), clock, 0).await;
    let not_before = Some(clock.now().plus_millis(60_000));
    let late = BatchSpec { not_before, deadline_ms: Some(30_000), ..spec("hour", 4, 1) };
    let id = launch_with(&engine, 1, late).await;
    let batch = engine.open(id).await.expect("it answers").expect("it is there");
    timeout(TOO_LONG, batch.wait_until(|quilt| quilt.status() == Status::Cancelled)).await.expect("it is cancelled");
    let summary = batch.folded().quilt.summary();
    assert_eq!(summary.cancelled_because, Some(CancelCause::Deadline));
    assert_eq!(summary.ended_at.map(|at| at.millis_since(summary.created_at) / 1_000), Some(90));
    assert_eq!(started(1), SLOTS);
}

#[tokio::test(start_paused = true)]
async fn tasks_whose_key_is_full_or_paused_take_no_worker_and_none_of_their_time() {
    let engine = start(0).await;
    let work = WorkSpec { kind: "keyed".into(), parameters: serde_json::Map::new() };
    // Each task has time for one other before it.
    let spec = BatchSpec { timeout_ms: 250, ..BatchSpec::new(work, Grid::new(20, 20).expect("a grid"), 1) };
    let keyed = BatchId::from_bytes([1; 16]);
    let before = Instant::now();
    engine.launch(keyed, OwnerId::from_bytes([1; 16]), spec, None).await.expect("accepted");
    let beside = launch(&engine, 1, "short", 6, 2).await;
    finished(&engine, beside).await;
    // 36 tasks of 100 ms on four of eight workers and more.
    assert!(before.elapsed() < Duration::from_secs(1), "{:?}", before.elapsed());
    // 300 tasks of the first key, two at a time.
    let batch = engine.open(keyed).await.expect("it answers").expect("it is there");
    let order = batch.folded().quilt.order();
    let of_first = (0..400).map(Index).filter(|index| Keyed.key(*index).as_deref() == Some("0"));
    let last = of_first.max_by_key(|index| order.position(*index)).expect("there are some");
    let why = engine.why(keyed, last).await.expect("it answers");
    let is_blocked = matches!(&why, Some(Waiting::KeyFull { key, running: 2 }) if &**key == "0")
        || matches!(&why, Some(Waiting::KeyPaused { key, .. }) if &**key == "0");
    assert!(is_blocked, "{why:?}");
    finished(&engine, keyed).await;
    assert_eq!(started(1), 401, "each once, and one again");
    let took = before.elapsed();
    assert!((Duration::from_secs(75)..Duration::from_secs(78)).contains(&took), "a pause and 150 rounds: {took:?}");
    let quilt = batch.folded();
    assert_eq!(quilt.quilt.progress().done, 400);
}
