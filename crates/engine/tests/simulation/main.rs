//! The engine in worlds that are out to break it. Time and scheduling are simulated, and everything follows from a seed: a run that
//! fails says which, and `SIMULATION_SEED=… cargo test --package engine --test simulation` runs it again. `SIMULATION_RUNS` asks for more
//! worlds than the usual ones.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

#[path = "../memory/mod.rs"]
mod memory;
#[path = "../seeds/mod.rs"]
mod seeds;
mod world;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::journal::{BatchMeta, Catalog};
use engine::work::{AsyncWork, Done, Registry, Task, TaskError, Work};
use engine::{Clock, Engine, Journal, Node, Settings, Slots};
use futures::FutureExt;
use quilt::{
    BatchId, BatchSpec, Change, Color, Control, Event, Grid, Halt, Index, LapStats, Launched, OwnerId, Quilt,
    SquareState, Status, Timestamp, WorkSpec,
};
use rand::RngExt;
use tokio::time::{Instant, sleep, timeout};

use crate::seeds::seeds;
use crate::world::{Faults, Interface, World};

const OWNER: OwnerId = OwnerId::from_bytes([1; 16]);
const WORKERS: u32 = 5;
const ATTEMPTS: u8 = 4;
const LAPS: u32 = 2;
const TIME_LIMIT_MS: u32 = 60;

/// How often a batch is stopped, and goes on.
const STOPS: u32 = 4;

/// The grids of the batches that a world runs.
const SHAPES: [(u16, u16); 3] = [(1, 1), (4, 5), (9, 11)];

/// Within this time everything has to be done. It takes seconds.
const TOO_LONG: Duration = Duration::from_secs(1_800);

thread_local! {
    /// How often each attempt was made, by batch, lap, square and number.
    static RUNS: RefCell<BTreeMap<(u64, u32, u32, u8), u32>> = const { RefCell::new(BTreeMap::new()) };
}

/// What a task comes to depends on its square and the number of the attempt alone, and not on when it is run.
struct Fickle;

/// The fates that squares can have.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Done,
    FailsTwice,
    HangsOnce,
    Panics,
    FailsForGood,
}

fn fate(index: Index) -> Fate {
    match index.0 % 11 {
        3 => Fate::FailsTwice,
        5 => Fate::HangsOnce,
        7 => Fate::Panics,
        9 => Fate::FailsForGood,
        _ => Fate::Done,
    }
}

fn is_done_in_the_end(index: Index) -> bool {
    !matches!(fate(index), Fate::Panics | Fate::FailsForGood)
}

#[async_trait]
impl AsyncWork for Fickle {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        let Task { index, seed, lap, attempt, .. } = task;
        RUNS.with_borrow_mut(|runs| *runs.entry((seed, lap, index.0, attempt)).or_default() += 1);
        let millis = task.attempt_rng().random_range(0..12);
        if millis > 4 {
            sleep(Duration::from_millis(millis)).await;
        }
        match fate(index) {
            Fate::FailsTwice if attempt <= 2 => Err(TaskError::retryable("not yet")),
            Fate::HangsOnce if attempt == 1 => std::future::pending().await,
            Fate::Panics => panic!("as always"),
            Fate::FailsForGood => Err(TaskError::permanent("never")),
            _ => Ok(Color::from_rgb(index.0).into()),
        }
    }
}

fn id(number: usize) -> BatchId {
    BatchId::from_bytes([number as u8 + 1; 16])
}

fn spec(number: usize) -> BatchSpec {
    let (rows, columns) = SHAPES[number];
    let work = WorkSpec { kind: "fickle".into(), parameters: serde_json::Map::new() };
    let grid = Grid::new(rows, columns).expect("small");
    BatchSpec { attempts: ATTEMPTS, timeout_ms: TIME_LIMIT_MS, ..BatchSpec::new(work, grid, number as u64) }
}

/// What was promised to somebody outside, who remembers it.
#[derive(Default)]
struct Promises {
    launched: [bool; SHAPES.len()],
    laps: [u32; SHAPES.len()],
    stops: [u32; SHAPES.len()],
}

/// What an owner does to batches.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Scenario {
    /// Runs what failed once more at each finish line.
    Retries,
    /// Stops them, now or soon, and lets them go on with what was not run.
    Stops,
}

/// Asks for everything that was not promised yet, and waits until every promise is kept. Changes its mind about pauses and limits meanwhile.
async fn live(world: &Arc<World>, age: Duration, promises: &mut Promises, scenario: Scenario) {
    let started = Timestamp(1_790_000_000_000).plus_millis(age.as_millis() as u64);
    let clock = Clock::Simulated { started, at: Instant::now(), set: None };
    // Those of this machine would make another world of a seed on each.
    let settings = Settings {
        node: Node { slots: Slots::all(WORKERS), ..Settings::default().node },
        processors: 1,
        clock,
        ..Settings::default()
    };
    let interface = Arc::new(Interface(Arc::clone(world)));
    let registry = || Registry::default().with_work("fickle", || Work::waiting(Fickle));
    let engine = loop {
        let journal: Arc<dyn Journal> = Arc::clone(&interface) as _;
        match Engine::start(journal, None, registry(), settings.clone()).await {
            Ok(engine) => break engine,
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    };
    for number in 0..SHAPES.len() {
        while !promises.launched[number] {
            promises.launched[number] = engine.launch(id(number), OWNER, spec(number), None).await.is_ok();
        }
    }
    match scenario {
        Scenario::Retries => retry(world, &engine, promises).await,
        Scenario::Stops => stop_and_continue(world, &engine, promises).await,
    }
    for number in 0..SHAPES.len() {
        until_concluded(&interface, number).await;
    }
    engine.shutdown(Duration::from_secs(1)).await;
}

async fn retry(world: &World, engine: &Engine, promises: &mut Promises) {
    for lap in 1..=LAPS {
        for number in 0..SHAPES.len() {
            fiddle(world, engine, number).await;
            until_lap_is_over(engine, number, lap).await;
            while lap < LAPS && promises.laps[number] < lap {
                if engine.retry_failed(id(number), OWNER).await.is_ok() {
                    promises.laps[number] = lap;
                }
            }
        }
    }
}

/// Stops each batch some times while it runs, and has it go on until nothing is left that was not run.
async fn stop_and_continue(world: &World, engine: &Engine, promises: &mut Promises) {
    for number in 0..SHAPES.len() {
        loop {
            if promises.stops[number] < STOPS {
                sleep(Duration::from_millis(world.random(|random| random.random_range(0..40)))).await;
                let halt = [Halt::Now, Halt::Soon][world.random(|random| random.random_range(0..2))];
                promises.stops[number] += u32::from(engine.cancel(id(number), OWNER, halt).await.is_ok());
            }
            let Ok(Some(batch)) = engine.open(id(number)).await else { continue };
            batch.wait_until(|quilt| quilt.status().is_over()).await;
            let status = batch.folded().quilt.status();
            if status == Status::Finished {
                break;
            }
            // A refusal is followed by another look.
            let _ = engine.continue_stopped(id(number), OWNER).await;
        }
    }
}

/// Some controls, and in the end none that holds anything up.
async fn fiddle(world: &World, engine: &Engine, number: usize) {
    for _ in 0..world.random(|random| random.random_range(0..4)) {
        let limit = world.random(|random| random.random_range(1..4));
        let control =
            [Control::Pause, Control::Resume, Control::SetConcurrency(Some(limit)), Control::SetConcurrency(None)]
                [world.random(|random| random.random_range(0..4))];
        // A refusal is as good as no control here.
        let _ = engine.control(id(number), OWNER, control).await;
        sleep(Duration::from_millis(world.random(|random| random.random_range(0..30)))).await;
    }
    while engine.control(id(number), OWNER, Control::Resume).await.is_err() {}
}

async fn until_lap_is_over(engine: &Engine, number: usize, lap: u32) {
    loop {
        if let Ok(Some(batch)) = engine.open(id(number)).await {
            return batch.wait_until(|quilt| quilt.lap_number() > lap || quilt.status().is_over()).await;
        }
    }
}

async fn until_concluded(interface: &Interface, number: usize) {
    while !matches!(interface.find(id(number)).await, Ok(Some(BatchMeta { is_finalized: true, .. }))) {
        sleep(Duration::from_millis(10)).await;
    }
}

/// Says which world it was, if the test fails in it.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("it was in the world of SIMULATION_SEED={}", self.0);
        }
    }
}

/// Lives in a world to the end of all its lives.
fn run(seed: u64, faults: Faults, scenario: Scenario) -> Arc<World> {
    let _seed = Seed(seed);
    RUNS.with_borrow_mut(BTreeMap::clear);
    let world = World::new(seed, faults);
    let mut promises = Promises::default();
    loop {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        let is_done = runtime.block_on(async {
            let age = world.begin();
            tokio::select! {
                biased;
                () = world.crash() => false,
                done = timeout(TOO_LONG, live(&world, age, &mut promises, scenario)) => {
                    done.expect("every promise is kept in time");
                    true
                }
            }
        });
        // With the runtime everything goes that was not in the world, between any two of its steps.
        drop(runtime);
        if is_done {
            for number in 0..SHAPES.len() {
                check(&world, number, scenario);
            }
            return world;
        }
    }
}

/// Reads a journal as a stranger does, and checks what was promised.
fn check(world: &World, number: usize, scenario: Scenario) {
    let events = world.journal.events(id(number));
    let Some(Event::Launched(launched)) = events.first() else { panic!("it starts with a launch") };
    assert_eq!(launched.spec, spec(number));
    let (quilt, stats, changes) = fold(launched, &events);
    let failing = (0..launched.spec.grid.squares()).filter(|index| !is_done_in_the_end(Index(*index))).count() as u32;
    assert_eq!(quilt.status(), Status::Finished);
    let count = |wanted| changes.iter().filter(|change| **change == wanted).count() as u32;
    let (laps, finish_lines) = match scenario {
        Scenario::Retries if failing > 0 => (LAPS, LAPS),
        Scenario::Retries => (1, 1),
        Scenario::Stops => (count(Change::Cancelled) + 1, 1),
    };
    assert_eq!((quilt.lap_number(), count(Change::Finished)), (laps, finish_lines));
    for index in (0..launched.spec.grid.squares()).map(Index) {
        let expected = match fate(index) {
            Fate::Panics => SquareState::Failed("panicked"),
            Fate::FailsForGood => SquareState::Failed("never"),
            _ => SquareState::Done(Color::from_rgb(index.0)),
        };
        assert_eq!(quilt.square(index), expected, "{index:?}");
        // Each square has exactly one outcome a lap that it was run in.
        let position = quilt.order().position(index);
        let settled = changes.iter().filter(|change| **change == Change::Settled(position)).count() as u32;
        assert_eq!(settled, if is_done_in_the_end(index) { 1 } else { finish_lines }, "{index:?}");
    }
    for event in &events {
        let Event::Attempted { lap, runs, .. } = event else { continue };
        assert!((1..=laps).contains(lap));
        assert!(runs.iter().all(|run| (1..=ATTEMPTS).contains(&run.number)), "attempts are within their bounds");
    }
    let found = world.journal.find(id(number)).now_or_never().expect("it waits for nothing").expect("it answers");
    assert_eq!(
        found.expect("it was launched").receipts,
        stats.receipts(),
        "what was noted is what follows from the journal"
    );
    assert_eq!(stats.receipts().len() as u32, finish_lines);
}

fn fold(launched: &Launched, events: &[Event]) -> (Quilt, LapStats, Vec<Change>) {
    let mut quilt = Quilt::new(launched.clone());
    let mut stats = LapStats::default();
    let mut all = Vec::new();
    for event in events {
        let mut changes = Vec::new();
        quilt.apply(event, &mut changes);
        stats.apply(&quilt, event, &changes);
        all.extend(changes);
    }
    (quilt, stats, all)
}

fn faults(seed: u64) -> Faults {
    Faults { crashes: (seed % 7) as u32, refusals: [0.0, 0.02][(seed / 3 % 2) as usize] }
}

#[test]
fn every_promise_is_kept_whatever_comes_late_or_twice_or_not_at_all_and_whenever_the_process_dies() {
    for seed in seeds(60) {
        run(seed, faults(seed), Scenario::Retries);
    }
}

#[test]
fn a_batch_that_is_stopped_and_goes_on_settles_every_square_once_whatever_happens() {
    for seed in seeds(60) {
        run(seed, faults(seed), Scenario::Stops);
    }
}

#[test]
fn in_a_kind_world_every_attempt_is_made_exactly_once() {
    for seed in seeds(20) {
        run(seed, Faults::NONE, Scenario::Retries);
        RUNS.with_borrow(|runs| {
            for ((batch, lap, index, attempt), times) in runs {
                assert_eq!(*times, 1, "batch {batch}, lap {lap}, square {index}, attempt {attempt}, seed {seed}");
            }
            for (number, (rows, columns)) in SHAPES.into_iter().enumerate() {
                for index in 0..u32::from(rows) * u32::from(columns) {
                    let expected = match fate(Index(index)) {
                        Fate::Done | Fate::FailsForGood => 1,
                        Fate::HangsOnce => 2,
                        Fate::FailsTwice => 3,
                        Fate::Panics => ATTEMPTS,
                    };
                    let made = (1..=ATTEMPTS).filter(|attempt| runs.contains_key(&(number as u64, 1, index, *attempt)));
                    assert_eq!(made.count(), usize::from(expected), "square {index}, seed {seed}");
                }
            }
        });
    }
}

#[test]
fn a_world_is_the_same_each_time() {
    for seed in seeds(7) {
        let journals = [(); 2].map(|()| {
            let world = run(seed, faults(seed), Scenario::Retries);
            (0..SHAPES.len()).map(|number| world.journal.events(id(number))).collect::<Vec<_>>()
        });
        assert_eq!(journals[0], journals[1], "seed {seed}");
    }
}
