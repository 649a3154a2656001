//! Who gets how much, as counts of tasks that were started, on a simulated clock.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod memory;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::dispatch::Waiting;
use engine::work::{AsyncWork, Done, Registry, Task, TaskError, Work};
use engine::{Engine, Node, Settings, SlotClass, Slots};
use quilt::{BatchId, BatchSpec, Color, Control, Grid, Index, OwnerId, Status, WorkSpec};
use tokio::time::{sleep, timeout};

use crate::memory::MemoryJournal;

const SLOTS: u32 = 8;
const TOO_LONG: Duration = Duration::from_secs(7_200);

thread_local! {
    /// How many tasks of each batch were started, by its seed.
    static STARTED: RefCell<BTreeMap<u64, u32>> = const { RefCell::new(BTreeMap::new()) };
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
    let settings = Settings {
        node: Node { slots: Slots::all(SLOTS), ..Settings::default().node },
        processors: 1,
        reserved_slots: Slots::all(reserved_slots),
        ..Settings::default()
    };
    let takes = |millis, fails, class| move || Work::waiting(Takes(Duration::from_millis(millis), fails, class));
    let [waits, computes, spawns] = SlotClass::ALL;
    let registry = Registry::default()
        .with_work("short", takes(100, false, waits))
        .with_work("short-compute", takes(100, false, computes))
        .with_work("short-process", takes(100, false, spawns))
        .with_work("failing", takes(5, true, waits))
        .with_work("occupied", || Work::waiting(Occupied))
        .with_work("hour", takes(3_600_000, false, waits))
        .with_work("hour-compute", takes(3_600_000, false, computes))
        .with_work("hour-process", takes(3_600_000, false, spawns));
    Engine::start(Arc::new(MemoryJournal::default()), None, registry, settings).await.expect("it starts")
}

/// Launches a batch of a square grid for an owner, and returns its id.
async fn launch(engine: &Engine, owner: u8, work: &str, side: u16, seed: u64) -> BatchId {
    let work = WorkSpec { kind: work.into(), parameters: serde_json::Map::new() };
    let grid = Grid::new(side, side).expect("a grid");
    let spec = BatchSpec { timeout_ms: u32::MAX, attempts: 20, ..BatchSpec::new(work, grid, seed) };
    let id = BatchId::from_bytes(u128::from(seed).to_be_bytes());
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
        let before = tokio::time::Instant::now();
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
    let before = tokio::time::Instant::now();
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
    let before = tokio::time::Instant::now();
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
