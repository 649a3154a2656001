//! Work that blocks its thread, on a clock that goes on when the test says so.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;
mod memory;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use common::{OWNER, SETTINGS, finished, id, load, open, spec, until};
use engine::work::{BlockingWork, Done, Registry, Task, TaskContext, TaskError, Work};
use engine::{Engine, Node, Settings, Slots};
use quilt::{BatchSpec, Color, Grid, Index, SquareState, Status};

use crate::memory::MemoryJournal;

/// Work that takes its time: its first task does not look whether that is over, and the second one does nothing else.
struct Slow;

static IS_HELD: AtomicBool = AtomicBool::new(true);
static WAITING: AtomicU32 = AtomicU32::new(0);

/// Ends the first task with the test, which otherwise waits for it also when it has failed.
struct LetGo;

impl Drop for LetGo {
    fn drop(&mut self) {
        IS_HELD.store(false, Ordering::SeqCst);
    }
}

impl BlockingWork for Slow {
    fn run(&self, task: Task, context: &TaskContext) -> Result<Done, TaskError> {
        WAITING.fetch_add(1, Ordering::SeqCst);
        let goes_on = || match task.index.0 {
            0 => IS_HELD.load(Ordering::SeqCst),
            _ => !context.is_over(),
        };
        while goes_on() {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        Ok(Color::from_rgb(task.index.0).into())
    }
}

/// Work that ends at once; its third task panics.
struct Quick;

impl BlockingWork for Quick {
    fn run(&self, task: Task, _: &TaskContext) -> Result<Done, TaskError> {
        match task.index.0 {
            2 => panic!("square 2 panics"),
            index => Ok(Color::from_rgb(index).into()),
        }
    }
}

/// The test has one thread for everything that does not block. While anything blocks, tokio does not let the time go on by itself.
#[tokio::test(start_paused = true)]
async fn work_that_blocks_holds_up_nothing_and_an_attempt_that_does_not_stop_costs_its_worker_alone() {
    let _let_go = LetGo;
    let registry =
        Registry::default().with_work("slow", || Work::blocking(Slow)).with_work("quick", || Work::blocking(Quick));
    let journal = Arc::new(MemoryJournal::default());
    let engine = Engine::start(journal, None, registry, SETTINGS()).await.expect("it starts");
    let grid = Grid::new(1, 2).expect("a small grid");
    let slow = BatchSpec { grid, timeout_ms: 200, attempts: 1, ..spec(r#"{"kind": "slow"}"#, 1) };
    engine.launch(id(1), OWNER, slow, None).await.expect("accepted");
    let batch = open(&engine, id(1)).await;
    let state_of = |index| {
        let folded = batch.folded();
        match folded.quilt.square(Index(index)) {
            SquareState::Failed(reason) => Some(reason.to_owned()),
            _ => None,
        }
    };
    until("the first one runs", || WAITING.load(Ordering::SeqCst) == 1).await;
    // A batch of which nothing is known runs one task at first, for a moment.
    tokio::time::advance(Duration::from_millis(2)).await;
    until("both run", || WAITING.load(Ordering::SeqCst) == 2).await;
    let quick = BatchSpec { attempts: 1, ..spec(r#"{"kind": "quick"}"#, 4) };
    engine.launch(id(2), OWNER, quick, None).await.expect("accepted");
    let quick = finished(&engine, id(2)).await;
    assert_eq!(quick.square(Index(2)), SquareState::Failed("panicked"));
    assert_eq!(quick.progress().done, 15);

    tokio::time::advance(Duration::from_millis(197)).await;
    assert_eq!((state_of(0), state_of(1)), (None, None), "their time is not over");
    tokio::time::advance(Duration::from_millis(3)).await;
    until("the one that looks has stopped", || state_of(1).is_some()).await;
    assert_eq!(state_of(1).as_deref(), Some("timed out"));
    assert_eq!(state_of(0), None, "the other one has time to stop as well");
    tokio::time::advance(Duration::from_secs(1)).await;
    until("it is given up", || batch.folded().quilt.status() == Status::Finished).await;
    assert_eq!(state_of(0).as_deref(), Some("does not stop"));

    until("its worker waits", || load(&engine, &batch).unresponsive == 1).await;
    engine.launch(id(3), OWNER, spec(r#"{"kind": "color"}"#, 4), None).await.expect("accepted");
    finished(&engine, id(3)).await;
    IS_HELD.store(false, Ordering::SeqCst);
    until("its worker is back", || load(&engine, &batch).unresponsive == 0).await;
}

/// Work of a few microseconds, of which some tasks run until their time is over at their first attempt. Counts how often the thread changes.
struct Mostly;

static ATTEMPTS: [AtomicU32; 1_024] = [const { AtomicU32::new(0) }; 1_024];
static RUNS: AtomicU32 = AtomicU32::new(0);
static HANDOVERS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// The number of the last task, over all threads, that this thread has run.
    static LAST: std::cell::Cell<u32> = const { std::cell::Cell::new(u32::MAX) };
}

impl BlockingWork for Mostly {
    fn run(&self, task: Task, context: &TaskContext) -> Result<Done, TaskError> {
        let run = RUNS.fetch_add(1, Ordering::SeqCst);
        if LAST.replace(run).wrapping_add(1) != run {
            HANDOVERS.fetch_add(1, Ordering::SeqCst);
        }
        if let Some(attempts) = ATTEMPTS.get(task.index.0 as usize) {
            attempts.fetch_add(1, Ordering::SeqCst);
        }
        let is_slow = task.index.0 % 256 == 77 && task.attempt == 1;
        while is_slow && !context.is_over() {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        Ok(Color::from_rgb(task.index.0).into())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_of_a_chunk_share_a_thread_and_one_that_exceeds_its_time_is_retried_alone() {
    let registry = Registry::default().with_work("mostly", || Work::blocking(Mostly));
    let one_slot = Slots { compute: 1, ..SETTINGS().node.slots };
    let settings = Settings { node: Node { slots: one_slot, ..SETTINGS().node }, ..SETTINGS() };
    let engine = Engine::start(Arc::new(MemoryJournal::default()), None, registry, settings).await.expect("it starts");
    let mostly = BatchSpec { timeout_ms: 100, attempts: 3, ..spec(r#"{"kind": "mostly"}"#, 32) };
    engine.launch(id(1), OWNER, mostly, None).await.expect("accepted");
    let quilt = finished(&engine, id(1)).await;
    assert_eq!(quilt.progress().done, 1_024);
    let attempts: Vec<u32> = ATTEMPTS.iter().map(|attempts| attempts.load(Ordering::SeqCst)).collect();
    let again: Vec<usize> = (0..1_024).filter(|index| attempts[*index] > 1).collect();
    assert_eq!(again, [77, 333, 589, 845], "those alone that exceeded their time");
    assert!(attempts.iter().all(|attempts| *attempts <= 2), "{attempts:?}");
    let handovers = HANDOVERS.load(Ordering::SeqCst);
    assert!(handovers <= 64, "{handovers} changes of the thread for 1,028 attempts");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_a_batch_stops_its_chunks_between_two_tasks_and_settles_no_more() {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    struct Steady;
    impl BlockingWork for Steady {
        fn run(&self, task: Task, context: &TaskContext) -> Result<Done, TaskError> {
            STARTED.fetch_add(1, Ordering::SeqCst);
            // The first tasks let the chunks become long.
            let ends = std::time::Instant::now() + Duration::from_millis(u64::from(task.index.0.is_multiple_of(2)));
            while std::time::Instant::now() < ends && !context.is_over() {
                std::hint::spin_loop();
            }
            Ok(Color::from_rgb(task.index.0).into())
        }
    }
    let registry = Registry::default().with_work("steady", || Work::blocking(Steady));
    let engine =
        Engine::start(Arc::new(MemoryJournal::default()), None, registry, SETTINGS()).await.expect("it starts");
    engine.launch(id(1), OWNER, spec(r#"{"kind": "steady"}"#, 256), None).await.expect("accepted");
    until("some have run", || STARTED.load(Ordering::SeqCst) > 200).await;
    engine.cancel(id(1), OWNER, quilt::Halt::Now).await.expect("accepted");
    let batch = open(&engine, id(1)).await;
    let settled = batch.folded().quilt.progress();
    until("nothing runs any more", || load(&engine, &batch).running() == 0).await;
    let started = STARTED.load(Ordering::SeqCst);
    engine.shutdown(Duration::from_secs(5)).await;
    assert_eq!(STARTED.load(Ordering::SeqCst), started, "nothing starts after it");
    assert_eq!(batch.folded().quilt.progress(), settled, "what ran is not settled");
    assert!(started < 65_536, "it was stopped in between");
}
