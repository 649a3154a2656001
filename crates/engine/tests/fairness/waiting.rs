//! Tasks that wait for a time, a key or their turn.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use engine::Clock;
use engine::dispatch::Waiting;
use engine::work::TaskKeys;
use quilt::{BatchId, BatchSpec, CancelCause, Control, Grid, Index, OwnerId, Status, Timestamp, WorkSpec};
use tokio::time::{Instant, sleep, timeout};

use crate::memory::MemoryJournal;
use crate::{Keyed, SLOTS, TOO_LONG, finished, launch, launch_with, spec, start, start_on, started};

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

#[tokio::test(start_paused = true)]
async fn nothing_starts_before_its_time_and_everything_after_it_also_after_a_restart() {
    let (journal, started_at) = (Arc::<MemoryJournal>::default(), Timestamp(1_790_000_000_000));
    let clock = Clock::Simulated { started: started_at, at: Instant::now(), set: None };
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
    let clock = Clock::Simulated { started: Timestamp(1_790_000_000_000), at: Instant::now(), set: None };
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
