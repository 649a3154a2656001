//! The overhead of the engine for CPU-bound work: the same tasks in a plain loop on all processors, and as a durable batch.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use engine::embedded::SqliteJournal;
use engine::work::{BlockingWork, Done, Registry, Task, TaskContext, TaskError, Work};
use engine::{Engine, Settings};
use quilt::{BatchId, BatchSpec, Color, Grid, Index, Status, WorkSpec};

use crate::OWNER;

/// The steps of a task: a few microseconds, like a square of a rendered picture.
const STEPS: u32 = 2_000;

/// The number of tasks that a thread of the plain loop claims at once.
const PART: u32 = 1_024;

/// The user and system time of this process, in ticks of 10 ms. `None` except on Linux.
fn ticks() -> Option<[f64; 2]> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some([fields.next()?.parse().ok()?, fields.next()?.parse().ok()?])
}

fn color(index: Index) -> Color {
    let mut value = f64::from(index.0) * 1e-6;
    for _ in 0..STEPS {
        value = black_box(value * value - 0.75);
    }
    Color::from_rgb((value.abs() * 1e6) as u32 & 0xFF_FFFF)
}

struct Iterate;

impl BlockingWork for Iterate {
    fn run(&self, task: Task, _context: &TaskContext) -> Result<Done, TaskError> {
        Ok(color(task.index).into())
    }
}

pub(crate) async fn measure() {
    let grid = Grid::new(512, 512).expect("a valid shape");
    println!("\n{} tasks that compute for some microseconds; system time in percent of user time", grid.squares());
    println!("  what                wall s     user s   system s  system %   x plain loop");
    let plain = timed(async { plain_loop(grid.squares()) }).await;
    print("plain loop", &plain, &plain);
    let durable = timed(batch(grid)).await;
    print("durable batch", &durable, &plain);
}

struct Measured {
    wall: Duration,
    ticks: Option<[f64; 2]>,
}

async fn timed(run: impl Future<Output = ()>) -> Measured {
    let (before, wall) = (ticks(), Instant::now());
    run.await;
    let ticks = ticks()
        .zip(before)
        .map(|([user, system], [user_before, system_before])| [user - user_before, system - system_before]);
    Measured { wall: wall.elapsed(), ticks }
}

fn plain_loop(tasks: u32) {
    let next = AtomicU32::new(0);
    let threads = std::thread::available_parallelism().map_or(2, |count| count.get());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let first = next.fetch_add(PART, Ordering::Relaxed);
                    if first >= tasks {
                        return;
                    }
                    (first..tasks.min(first + PART)).map(Index).for_each(|index| _ = black_box(color(index)));
                }
            });
        }
    });
}

async fn batch(grid: Grid) {
    let folder = tempfile::tempdir().expect("a folder for the journal");
    let journal = SqliteJournal::open(&folder.path().join("quilt.db")).expect("a new file");
    let registry = Registry::default().with_work("iterate", || Work::blocking(Iterate));
    let engine = Engine::start(Arc::new(journal), None, registry, Settings::default()).await.expect("it starts");
    let work = WorkSpec { kind: "iterate".into(), parameters: serde_json::Map::new() };
    let id = BatchId::from_bytes([1; 16]);
    engine.launch(id, OWNER, BatchSpec::new(work, grid, 1), None).await.expect("accepted");
    let batch = engine.open(id).await.expect("it answers").expect("it is there");
    batch.wait_until(|quilt| quilt.status() == Status::Finished).await;
    engine.shutdown(Duration::ZERO).await;
}

fn print(name: &str, measured: &Measured, plain: &Measured) {
    let Measured { wall, ticks } = measured;
    let [user, system] = ticks.unwrap_or([f64::NAN; 2]);
    println!(
        "  {name:<16} {:>9.2}  {:>9.2}  {:>9.2}  {:>8.1}  {:>13.2}",
        wall.as_secs_f64(),
        user / 100.0,
        system / 100.0,
        system * 100.0 / user,
        wall.as_secs_f64() / plain.wall.as_secs_f64(),
    );
}
