//! The cost of a task, from its launch to its place in a finished, durable quilt.
//!
//! For each size of batch, one run measures four cases: the bare loop of the work on one thread, which is the lower bound; the loop with
//! the minimum of two commits (`commits`); the engine with a journal in memory; and the engine with its SQLite file. Ratios are more
//! meaningful than times, which depend on the machine and its load.
//!
//! Further parts: CPU-bound work (`compute`), failures (`failures`), small batches alone and beside a large one (`fairness`), problematic
//! batches (`trouble`), and the start of the engine (`recovery`).

#![allow(clippy::expect_used, clippy::print_stdout, reason = "a program for people who develop this one")]

mod commits;
mod compute;
mod failures;
mod fairness;
#[path = "../../tests/memory/mod.rs"]
mod memory;
mod recovery;
mod trouble;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::embedded::SqliteJournal;
use engine::work::{Registry, Task, Work};
use engine::{Engine, Journal, Node, Settings, Slots};
use quilt::{BatchId, BatchSpec, Grid, Index, OwnerId, Status, WorkSpec};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Runtime;

use crate::memory::MemoryJournal;

/// Rows and columns of the batches.
const SHAPES: [(u16, u16); 5] = [(8, 8), (25, 40), (100, 100), (250, 400), (1_000, 1_000)];

/// Small batches are repeated up to about this many tasks, so that the time is measurable.
const TASKS: u32 = 200_000;

/// The maximum number of batches of one size.
const MOST_BATCHES: u32 = 200;

/// Enough to occupy every core, because these tasks never wait.
const WORKERS: u32 = 8;

const OWNER: OwnerId = OwnerId::from_bytes([1; 16]);

/// Means over the batches of one size.
struct Measured {
    name: &'static str,
    cpu: Duration,
    wall: Duration,
    /// `None` without an engine.
    launch: Option<Launch>,
    journal_bytes: Option<u64>,
}

struct Launch {
    /// The time until the launch was accepted.
    accepted: Duration,
    /// The time until the first square was settled.
    first_outcome: Duration,
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    // Arguments select parts: `cargo bench --bench engine -- fairness`, or `-- cost 1000000` for the cost of one size.
    let parts: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    if is_wanted("cost") {
        let sizes: Vec<u32> = parts.iter().filter_map(|part| part.parse().ok()).collect();
        measure_cost(&runtime, &sizes);
    }
    if is_wanted("compute") {
        runtime.block_on(compute::measure());
    }
    if is_wanted("failures") {
        runtime.block_on(failures::measure());
    }
    if is_wanted("fairness") {
        runtime.block_on(fairness::measure());
    }
    if is_wanted("trouble") {
        runtime.block_on(trouble::measure());
    }
    if is_wanted("recovery") {
        runtime.block_on(recovery::measure());
    }
}

/// Measures batches with these numbers of tasks, or all sizes if there are none.
fn measure_cost(runtime: &Runtime, sizes: &[u32]) {
    println!("Means over batches of one size; 'x floor' is CPU time beside the bare loop's.");
    println!(
        "      tasks  what       batches    CPU us/task   x floor      tasks/s    launch ms   first ms  journal B/task"
    );
    for (rows, columns) in SHAPES {
        let grid = Grid::new(rows, columns).expect("a valid shape");
        if !sizes.is_empty() && !sizes.contains(&grid.squares()) {
            continue;
        }
        let batches = (TASKS / grid.squares()).clamp(1, MOST_BATCHES);
        let folder = tempfile::tempdir().expect("a folder for the journal");
        let floor = runtime.block_on(bare_loop(grid, batches));
        let commits = runtime.block_on(commits::bare(grid, batches, folder.path()));
        let in_memory = runtime.block_on(on_journal("in memory", Arc::new(MemoryJournal::default()), grid, batches));
        let file = folder.path().join("quilt.db");
        let journal = SqliteJournal::open(&file).expect("a new file");
        let mut durable = runtime.block_on(on_journal("durable", Arc::new(journal), grid, batches));
        durable.journal_bytes = Some(journal_bytes(&file));
        for measured in [&floor, &commits, &in_memory, &durable] {
            print(measured, &floor, grid.squares(), batches);
        }
    }
}

/// The user and system time of all threads of this process.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).expect("not before the process")
}

fn spec(grid: Grid, seed: u32) -> BatchSpec {
    let work = WorkSpec { kind: "color".into(), parameters: serde_json::Map::new() };
    BatchSpec::new(work, grid, seed.into())
}

async fn bare_loop(grid: Grid, batches: u32) -> Measured {
    let (cpu, wall) = (cpu_time(), Instant::now());
    for seed in 0..batches {
        let work = Registry::default().build(&spec(grid, seed), None).expect("a known kind");
        let Work::Async(work) = work else { panic!("it does not block") };
        for index in (0..grid.squares()).map(Index) {
            let task = Task { index, seed: seed.into(), lap: 1, attempt: 1, lease: Default::default() };
            std::hint::black_box(work.run(task).await).expect("it does not fail");
        }
    }
    Measured { name: "bare loop", cpu: cpu_time() - cpu, wall: wall.elapsed(), launch: None, journal_bytes: None }
}

async fn on_journal(name: &'static str, journal: Arc<dyn Journal>, grid: Grid, batches: u32) -> Measured {
    let settings = Settings {
        node: Node { slots: Slots::all(WORKERS), ..Settings::default().node },
        running_per_owner: 2,
        ..Settings::default()
    };
    let engine = Engine::start(journal, None, Registry::default(), settings).await.expect("the journal is empty");
    let mut launch = Launch { accepted: Duration::ZERO, first_outcome: Duration::ZERO };
    let (cpu, wall) = (cpu_time(), Instant::now());
    for seed in 0..batches {
        let id = BatchId::from_bytes(u128::from(seed).to_be_bytes());
        let launched_at = Instant::now();
        engine.launch(id, OWNER, spec(grid, seed), None).await.expect("accepted");
        launch.accepted += launched_at.elapsed();
        let batch = engine.open(id).await.expect("the journal answers").expect("it was launched");
        batch.wait_until(|quilt| quilt.progress().settled() > 0).await;
        launch.first_outcome += launched_at.elapsed();
        batch.wait_until(|quilt| quilt.status() == Status::Finished).await;
    }
    let (cpu, wall) = (cpu_time() - cpu, wall.elapsed());
    engine.shutdown(Duration::from_secs(10)).await;
    Measured { name, cpu, wall, launch: Some(launch), journal_bytes: None }
}

fn journal_bytes(file: &Path) -> u64 {
    let connection = rusqlite::Connection::open(file).expect("it is there");
    connection
        .query_row("SELECT sum(length(body)) FROM events", [], |row| row.get::<_, i64>(0))
        .expect("it has events")
        .unsigned_abs()
}

fn print(measured: &Measured, floor: &Measured, tasks: u32, batches: u32) {
    let all = f64::from(tasks) * f64::from(batches);
    let millis = |total: Duration| format!("{:.2}", total.as_secs_f64() * 1e3 / f64::from(batches));
    let launch = |time: fn(&Launch) -> Duration| {
        measured.launch.as_ref().map_or_else(|| "-".to_owned(), |launch| millis(time(launch)))
    };
    println!(
        "{tasks:>11}  {:<9} {batches:>8} {:>14.3} {:>9.2} {:>12.0} {:>12} {:>10} {:>15}",
        measured.name,
        measured.cpu.as_secs_f64() * 1e6 / all,
        measured.cpu.as_secs_f64() / floor.cpu.as_secs_f64(),
        all / measured.wall.as_secs_f64(),
        launch(|launch| launch.accepted),
        launch(|launch| launch.first_outcome),
        measured.journal_bytes.map_or_else(|| "-".to_owned(), |bytes| format!("{:.2}", bytes as f64 / all)),
    );
}
