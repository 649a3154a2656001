//! What an owner can do with a batch, and what an operator can rely on.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use common::{OWNER, SETTINGS, STRANGER, WORKERS, finished, id, open, registry, spec, start, start_as, start_with};
use engine::work::{Allowance, AsyncWork, BlockingWork, Registry, Task, TaskError, Work};
use engine::{ControlError, Engine, JournalError, LaunchError, Retention, Settings, TooManyRunning};
use quilt::{BatchId, CancelCause, Color, Control, Index, Outcome, Progress, SquareState, Status};
use tempfile::TempDir;
use tokio::sync::Semaphore;

/// Waits for something that is about to be so.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect(what);
}

/// Tasks that end when they are let through, and count.
struct Gate {
    running: AtomicU32,
    most: AtomicU32,
    started: AtomicU32,
    passes: Semaphore,
}

impl Gate {
    const fn new() -> Self {
        Self {
            running: AtomicU32::new(0),
            most: AtomicU32::new(0),
            started: AtomicU32::new(0),
            passes: Semaphore::const_new(0),
        }
    }

    fn running(&self) -> u32 {
        self.running.load(Ordering::SeqCst)
    }

    fn started(&self) -> u32 {
        self.started.load(Ordering::SeqCst)
    }

    async fn pass(&self, task: Task) -> Result<Color, TaskError> {
        self.started.fetch_add(1, Ordering::SeqCst);
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        let passed = self.passes.acquire().await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        passed.expect("it is never closed").forget();
        Ok(Color::from_rgb(task.index.0))
    }
}

macro_rules! gated {
    ($name:ident, $gate:ident) => {
        static $gate: Gate = Gate::new();

        struct $name;

        #[async_trait]
        impl AsyncWork for $name {
            async fn run(&self, task: Task) -> Result<Color, TaskError> {
                $gate.pass(task).await
            }
        }
    };
}

gated!(Paused, PAUSED);
gated!(Limited, LIMITED);
gated!(Locked, LOCKED);

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_batch_starts_nothing_ends_what_runs_and_goes_on_when_it_is_resumed() {
    let folder = TempDir::new().expect("a folder");
    let engine = start_with(folder.path(), Registry::default().with("gate", |_| Ok(Work::waiting(Paused)))).await;
    let mut gated = spec(r#"{"kind": "gate"}"#, 6);
    gated.timeout_ms = 3_600_000;
    engine.launch(id(1), OWNER, gated).await.expect("accepted");
    let batch = open(&engine, id(1)).await;
    until("all workers run it", || PAUSED.running() == WORKERS).await;

    assert!(matches!(engine.control(id(1), STRANGER, Control::Pause).await, Err(ControlError::NotOwner)));
    for _ in 0..2 {
        assert_eq!(engine.control(id(1), OWNER, Control::Pause).await.expect("accepted").status, Status::Paused);
    }
    PAUSED.passes.add_permits(36);
    batch.wait_until(|quilt| quilt.progress().settled() == WORKERS).await;
    // The workers are free for others, and leave this one alone.
    engine.launch(id(2), OWNER, spec(r#"{"kind": "color"}"#, 32)).await.expect("accepted");
    finished(&engine, id(2)).await;
    assert_eq!(PAUSED.started(), WORKERS);
    // A restart does not resume it.
    engine.shutdown(Duration::from_secs(5)).await;
    drop((engine, batch));
    let engine = start_with(folder.path(), Registry::default().with("gate", |_| Ok(Work::waiting(Paused)))).await;
    engine.launch(id(3), OWNER, spec(r#"{"kind": "color"}"#, 32)).await.expect("accepted");
    finished(&engine, id(3)).await;
    assert_eq!(PAUSED.started(), WORKERS);

    for _ in 0..2 {
        engine.control(id(1), OWNER, Control::Resume).await.expect("accepted");
    }
    assert_eq!(finished(&engine, id(1)).await.progress().done, 36);
    assert_eq!(PAUSED.started(), 36, "no task was run twice");
    let after = engine.control(id(1), OWNER, Control::Pause).await.expect("without effect");
    assert_eq!(after.status, Status::Finished);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_tasks_run_at_once_than_a_batch_is_allowed_and_that_can_be_changed_while_it_runs() {
    let folder = TempDir::new().expect("a folder");
    let engine = start_with(folder.path(), Registry::default().with("gate", |_| Ok(Work::waiting(Limited)))).await;
    let mut gated = spec(r#"{"kind": "gate"}"#, 6);
    gated.timeout_ms = 3_600_000;
    gated.concurrency = Some(2);
    engine.launch(id(1), OWNER, gated).await.expect("accepted");
    until("two run", || LIMITED.running() == 2).await;
    LIMITED.passes.add_permits(10);
    let batch = open(&engine, id(1)).await;
    batch.wait_until(|quilt| quilt.progress().settled() == 10).await;
    until("two run again", || LIMITED.running() == 2).await;
    assert_eq!(LIMITED.most.load(Ordering::SeqCst), 2);

    let five = engine.control(id(1), OWNER, Control::SetConcurrency(Some(5))).await.expect("accepted");
    assert_eq!(five.concurrency, Some(5));
    until("five run", || LIMITED.running() == 5).await;
    engine.control(id(1), OWNER, Control::SetConcurrency(None)).await.expect("accepted");
    until("all workers run it", || LIMITED.running() == WORKERS).await;
    LIMITED.passes.add_permits(100);
    assert_eq!(finished(&engine, id(1)).await.progress().done, 36);
    assert_eq!(LIMITED.started(), 36, "no task was run twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_stopped_when_more_has_failed_than_it_tolerates_or_its_time_is_over() {
    let folder = TempDir::new().expect("a folder");
    let engine = start(folder.path()).await;
    let mut failing = spec(r#"{"kind": "color", "permanent_rate": 1, "duration_ms": [1, 5]}"#, 20);
    failing.tolerated_failures = Some(0.1);
    engine.launch(id(1), OWNER, failing).await.expect("accepted");
    let mut slow = spec(r#"{"kind": "hanging"}"#, 3);
    slow.timeout_ms = 3_600_000;
    slow.deadline_ms = Some(150);
    engine.launch(id(2), OWNER, slow).await.expect("accepted");
    for (number, cause) in [(1, CancelCause::Failures), (2, CancelCause::Deadline)] {
        let batch = open(&engine, id(number)).await;
        let over = batch.wait_until(|quilt| quilt.status() == Status::Cancelled);
        tokio::time::timeout(Duration::from_secs(30), over).await.expect("it is stopped");
        let summary = batch.folded().quilt.summary();
        assert_eq!(summary.cancelled_because, Some(cause));
        if cause == CancelCause::Failures {
            assert_eq!(summary.progress.failed, 41);
        }
    }
    // The workers are free.
    engine.launch(id(3), OWNER, spec(r#"{"kind": "color"}"#, 4)).await.expect("accepted");
    finished(&engine, id(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_is_recorded_with_its_error_its_time_and_its_worker() {
    let folder = TempDir::new().expect("a folder");
    let engine = start(folder.path()).await;
    engine.launch(id(1), OWNER, spec(r#"{"kind": "misbehaving"}"#, 4)).await.expect("accepted");
    let quilt = finished(&engine, id(1)).await;
    let record = async |index| {
        let square = quilt.grid().square(Index(index));
        engine.square(id(1), square).await.expect("answers").expect("it is there")
    };
    let errors = async |index| {
        let attempts = record(index).await.attempts;
        let numbers: Vec<u8> = attempts.iter().map(|attempt| attempt.number).collect();
        assert_eq!(numbers, (1..=numbers.len() as u8).collect::<Vec<u8>>());
        assert!(attempts.iter().all(|attempt| attempt.lap == 1 && attempt.worker.starts_with("worker-")));
        attempts.into_iter().map(|attempt| attempt.error.map(String::from)).collect::<Vec<_>>()
    };
    let failed = |reason: &str| Some(reason.to_owned());
    assert_eq!(errors(0).await, vec![failed("panicked: square 0 panics"); 3]);
    assert_eq!(errors(1).await, [failed("square 1 errs for good")], "what is permanent is not tried again");
    assert_eq!(errors(2).await, vec![failed("took longer than 200 ms"); 3]);
    assert_eq!(errors(3).await, [failed("not yet"), failed("not yet"), None]);
    assert!(record(2).await.attempts.iter().all(|attempt| attempt.took_ms >= 200));
    assert_eq!(record(3).await.outcome, Some(Outcome::Done(Color::from_rgb(3))));

    let receipts = engine.receipts(id(1)).await.expect("answers").expect("it is there");
    let [receipt] = &receipts[..] else { panic!("one finish line") };
    assert_eq!((receipt.attempts, receipt.done, receipt.failed), (12 + 3 + 1 + 3 + 3, 13, 3));
    assert_eq!(receipt.slowest[0].square, quilt.grid().square(Index(2)));
    let last = &receipt.last_across;
    assert_eq!(Some(last.square), quilt.summary().last_across);
    assert!(last.worker.is_some() && last.attempt.is_some());
    let digest = receipt.outcomes_sha256.clone();
    engine.shutdown(Duration::from_secs(5)).await;
    drop(engine);
    // It was noted, and follows from the journal as well.
    let again = start(folder.path()).await;
    assert_eq!(again.receipts(id(1)).await.expect("answers").expect("it is there"), receipts);
    let batch = open(&again, id(1)).await;
    assert_eq!(batch.folded().ledger.receipts(), receipts);
    // A second run with the same outcomes has the same digest.
    again.launch(id(2), OWNER, spec(r#"{"kind": "misbehaving"}"#, 4)).await.expect("accepted");
    finished(&again, id(2)).await;
    assert_eq!(again.receipts(id(2)).await.expect("answers").expect("it is there")[0].outcomes_sha256, digest);
}

/// Work of which every task fails twice, slowly enough to be stopped in between.
struct Stubborn;

#[async_trait]
impl AsyncWork for Stubborn {
    async fn run(&self, task: Task) -> Result<Color, TaskError> {
        if task.attempt < 3 {
            return Err(TaskError::Retryable(format!("attempt {}", task.attempt)));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        Ok(Color::from_rgb(task.index.0))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_counted_across_restarts() {
    let folder = TempDir::new().expect("a folder");
    let registry = || Registry::default().with("stubborn", |_| Ok(Work::waiting(Stubborn)));
    let engine = start_with(folder.path(), registry()).await;
    engine.launch(id(1), OWNER, spec(r#"{"kind": "stubborn"}"#, 20)).await.expect("accepted");
    let batch = open(&engine, id(1)).await;
    until("some have failed twice", || {
        let folded = batch.folded();
        (0..400).filter(|position| folded.ledger.failed_tries(quilt::Position(*position)) == 2).count() > 50
    })
    .await;
    engine.shutdown(Duration::ZERO).await;
    drop((engine, batch));
    let engine = start_with(folder.path(), registry()).await;
    let quilt = finished(&engine, id(1)).await;
    assert_eq!(quilt.progress(), Progress { tasks: 400, done: 400, failed: 0 });
    for index in (0..400).step_by(7) {
        let square = quilt.grid().square(Index(index));
        let attempts = engine.square(id(1), square).await.expect("answers").expect("it is there").attempts;
        let numbers: Vec<u8> = attempts.iter().map(|attempt| attempt.number).collect();
        assert_eq!(numbers, [1, 2, 3], "square {index}");
    }
}

/// Work that blocks its thread; its first task does not look whether its time is over.
struct Blocking;

static HELD: AtomicBool = AtomicBool::new(true);

impl BlockingWork for Blocking {
    fn run(&self, task: Task, allowance: &Allowance) -> Result<Color, TaskError> {
        match task.index.0 {
            0 => {
                while HELD.load(Ordering::SeqCst) {
                    std::thread::park_timeout(Duration::from_millis(1));
                }
            }
            1 => {
                while !allowance.is_over() {
                    std::thread::park_timeout(Duration::from_millis(1));
                }
            }
            2 => panic!("square 2 panics"),
            _ => {}
        }
        Ok(Color::from_rgb(task.index.0))
    }
}

#[tokio::test]
async fn work_that_blocks_holds_up_nothing_and_an_attempt_that_does_not_stop_costs_its_worker_alone() {
    let folder = TempDir::new().expect("a folder");
    // The test has one thread for everything that does not block.
    let engine =
        start_with(folder.path(), Registry::default().with("blocking", |_| Ok(Work::blocking(Blocking)))).await;
    engine.launch(id(1), OWNER, spec(r#"{"kind": "blocking"}"#, 4)).await.expect("accepted");
    let quilt = finished(&engine, id(1)).await;
    assert_eq!(quilt.square(Index(0)), SquareState::Failed("took longer than 200 ms and does not stop"));
    assert_eq!(quilt.square(Index(1)), SquareState::Failed("took longer than 200 ms"));
    assert_eq!(quilt.square(Index(2)), SquareState::Failed("panicked: square 2 panics"));
    assert_eq!(quilt.progress().done, 13);
    until("its worker waits", || engine.stuck() == 1).await;
    engine.launch(id(2), OWNER, spec(r#"{"kind": "color"}"#, 16)).await.expect("accepted");
    finished(&engine, id(2)).await;
    HELD.store(false, Ordering::SeqCst);
    until("its worker is back", || engine.stuck() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_over_can_be_removed_and_gives_back_what_it_took() {
    let folder = TempDir::new().expect("a folder");
    let engine = start(folder.path()).await;
    engine.launch(id(1), OWNER, spec(r#"{"kind": "color"}"#, 300)).await.expect("accepted");
    let mut hanging = spec(r#"{"kind": "hanging"}"#, 2);
    hanging.timeout_ms = 3_600_000;
    engine.launch(id(2), OWNER, hanging).await.expect("accepted");
    finished(&engine, id(1)).await;
    let batch = open(&engine, id(1)).await;
    assert!(matches!(engine.remove(id(2), OWNER).await, Err(ControlError::NotOver)));
    assert!(matches!(engine.remove(id(1), STRANGER).await, Err(ControlError::NotOwner)));
    engine.remove(id(1), OWNER).await.expect("it is over");
    batch.removed().await;
    assert!(engine.open(id(1)).await.expect("answers").is_none());
    assert!(engine.receipts(id(1)).await.expect("answers").is_none());
    assert!(matches!(engine.remove(id(1), OWNER).await, Err(ControlError::NotFound)));
    assert_eq!(engine.list(OWNER, None, 10).await.expect("answers").batches.len(), 1);
    let file = rusqlite::Connection::open(folder.path().join("quilt.db")).expect("readable");
    let count = |what: &str| file.query_row(what, [], |row| row.get::<_, i64>(0)).expect("a number");
    until("its events are gone", || count("SELECT count(*) FROM batches") == 1).await;
    assert_eq!(count("SELECT count(*) FROM events"), 1);
    until("its pages are free", || count("PRAGMA freelist_count") == 0).await;
    assert!(count("PRAGMA page_count") < 30, "270,000 bytes of events were there");
    // What is on its way to a removed batch must not reach another one: its id is nobody's for a while.
    let again = engine.launch(id(1), OWNER, spec(r#"{"kind": "color"}"#, 2)).await;
    assert!(matches!(again, Err(LaunchError::Conflict)), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_can_be_controlled_only_so_often_but_always_resumed() {
    let folder = TempDir::new().expect("a folder");
    let engine = start(folder.path()).await;
    let mut hanging = spec(r#"{"kind": "hanging"}"#, 2);
    hanging.timeout_ms = 3_600_000;
    engine.launch(id(1), OWNER, hanging).await.expect("accepted");
    engine.shutdown(Duration::ZERO).await;
    drop(engine);
    // As many as there may be, in a journal of another life.
    let journal = engine::embedded::SqliteJournal::open(&folder.path().join("quilt.db")).expect("an own file");
    let controls = (1..=quilt::state::MAX_CONTROLS).map(|number| quilt::Event::Controlled {
        lap: 1,
        number,
        at: quilt::Timestamp(1),
        control: Control::SetConcurrency(Some(number % 2 + 1)),
    });
    engine::Journal::append(&journal, id(1), controls.collect()).await.expect("it answers");
    drop(journal);
    let engine = start(folder.path()).await;
    for control in [Control::Pause, Control::SetConcurrency(None)] {
        let refused = engine.control(id(1), OWNER, control).await;
        assert!(matches!(refused, Err(ControlError::TooManyControls { .. })), "{control:?}: {refused:?}");
    }
    engine.control(id(1), OWNER, Control::Resume).await.expect("it runs as it is");
}

/// Removes a batch, which sets off a clean-up, until as many as expected are left.
async fn clean_up_to(engine: &Engine, expected: &[BatchId]) {
    let cleaning = async {
        loop {
            let tiny = BatchId::from_bytes(rand::random());
            engine.launch(tiny, OWNER, spec(r#"{"kind": "color"}"#, 1)).await.expect("accepted");
            let batch = open(engine, tiny).await;
            batch.wait_until(|quilt| quilt.status() == Status::Finished).await;
            // The clean-up itself may have been faster.
            let _ = engine.remove(tiny, OWNER).await;
            let listed = engine.list(OWNER, None, 10).await.expect("answers").batches;
            if listed.iter().map(|(batch, _)| *batch).eq(expected.iter().copied()) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), cleaning).await.expect("what is not kept is removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_or_too_much_is_removed_but_not_while_somebody_watches() {
    for retention in [Retention { age: Some(Duration::ZERO), bytes: None }, Retention { age: None, bytes: Some(1) }] {
        let folder = TempDir::new().expect("a folder");
        let engine = start_as(folder.path(), registry(), Settings { retention, ..SETTINGS() }).await;
        let mut viewer = None;
        for number in 1..=3 {
            engine
                .launch(id(number), OWNER, spec(r#"{"kind": "color", "duration_ms": [1, 9]}"#, 8))
                .await
                .expect("accepted");
            let batch = open(&engine, id(number)).await;
            viewer = viewer.or(batch.admit(1));
            finished(&engine, id(number)).await;
        }
        clean_up_to(&engine, &[id(1)]).await;
        drop(viewer);
        clean_up_to(&engine, &[]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_file_is_told_and_what_was_run_meanwhile_is_written_when_it_is_free() {
    let folder = TempDir::new().expect("a folder");
    let engine = start_with(folder.path(), Registry::default().with("gate", |_| Ok(Work::waiting(Locked)))).await;
    let mut gated = spec(r#"{"kind": "gate"}"#, 4);
    gated.timeout_ms = 3_600_000;
    engine.launch(id(1), OWNER, gated).await.expect("accepted");
    until("all workers run it", || LOCKED.running() == WORKERS).await;
    let other = rusqlite::Connection::open(folder.path().join("quilt.db")).expect("readable");
    other.execute_batch("BEGIN IMMEDIATE").expect("free");
    LOCKED.passes.add_permits(16);
    match engine.launch(id(2), OWNER, spec(r#"{"kind": "color"}"#, 2)).await {
        Err(LaunchError::Journal(JournalError::Unavailable(reason))) => {
            assert_eq!(reason, "another program has locked the file");
        }
        other => panic!("{other:?}"),
    }
    other.execute_batch("ROLLBACK").expect("ours");
    assert_eq!(finished(&engine, id(1)).await.progress().done, 16);
    assert_eq!(LOCKED.started(), 16, "what was run is not run again");
    // The launch that was refused did not happen, and can be asked for again.
    engine.launch(id(2), OWNER, spec(r#"{"kind": "color"}"#, 2)).await.expect("accepted");
    finished(&engine, id(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_journal_is_told_and_harms_no_other() {
    let folder = TempDir::new().expect("a folder");
    let engine = start(folder.path()).await;
    let mut hanging = spec(r#"{"kind": "hanging"}"#, 2);
    hanging.timeout_ms = 3_600_000;
    engine.launch(id(1), OWNER, hanging).await.expect("accepted");
    engine.launch(id(2), OWNER, spec(r#"{"kind": "color"}"#, 4)).await.expect("accepted");
    finished(&engine, id(2)).await;
    engine.shutdown(Duration::ZERO).await;
    drop(engine);
    let file = rusqlite::Connection::open(folder.path().join("quilt.db")).expect("writable");
    file.execute("UPDATE events SET body = x'FF' WHERE batch = 1", []).expect("writable");
    drop(file);
    let again = start(folder.path()).await;
    assert!(matches!(again.open(id(1)).await, Err(JournalError::Damaged { .. })));
    let listed = again.list(OWNER, None, 10).await.expect("answers").batches;
    assert_eq!(listed.iter().map(|(batch, _)| *batch).collect::<Vec<_>>(), [id(2)]);
    again.launch(id(3), OWNER, spec(r#"{"kind": "color"}"#, 4)).await.expect("accepted");
    finished(&again, id(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_batch_leaves_the_memory_when_nobody_watches_it() {
    let folder = TempDir::new().expect("a folder");
    let engine = start(folder.path()).await;
    engine.launch(id(1), OWNER, spec(r#"{"kind": "color"}"#, 8)).await.expect("accepted");
    let batch = open(&engine, id(1)).await;
    let weak = Arc::downgrade(&batch);
    let viewer = batch.admit(1).expect("the first one");
    finished(&engine, id(1)).await;
    drop(batch);
    until("only the viewer holds it", || weak.strong_count() == 1).await;
    drop(viewer);
    assert!(weak.upgrade().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn launches_of_one_batch_at_the_same_time_count_as_one() {
    let folder = TempDir::new().expect("a folder");
    let settings = Settings { running_per_owner: 1, running_squares: 8_000, ..SETTINGS() };
    let engine = start_as(folder.path(), registry(), settings).await;
    let mut hanging = spec(r#"{"kind": "hanging"}"#, 9);
    hanging.timeout_ms = 3_600_000;
    let launches = (0..8).map(|_| engine.launch(id(1), OWNER, hanging.clone()));
    for launched in futures::future::join_all(launches).await {
        assert_eq!(launched.expect("accepted").progress.tasks, 81);
    }
    let small = spec(r#"{"kind": "color"}"#, 2);
    let refused = |result| match result {
        Err(LaunchError::TooManyRunning(error)) => error,
        other => panic!("{other:?}"),
    };
    let of_owner = refused(engine.launch(id(2), OWNER, small).await);
    assert_eq!(of_owner, TooManyRunning::OfOwner { limit: 1 });
    let squares = refused(engine.launch(id(2), STRANGER, spec(r#"{"kind": "color"}"#, 5)).await);
    assert_eq!(squares, TooManyRunning::Squares { limit: 8_000 });
}
