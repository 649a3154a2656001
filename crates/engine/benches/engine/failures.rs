//! The cost of failures: with ten distinct reasons, and with a distinct message per square.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use engine::embedded::SqliteJournal;
use engine::work::{AsyncWork, Done, Registry, Task, TaskError, Work};
use engine::{Engine, Node, Settings, Slots};
use quilt::{BatchId, BatchSpec, Grid, Status, WorkSpec};

use crate::{OWNER, WORKERS, cpu_time, journal_bytes};

/// Rows and columns.
const SIDE: u16 = 1_000;

const REASONS: [&str; 10] = [
    "timed out",
    "no such host",
    "cannot connect",
    "TLS error",
    "404 Not Found",
    "410 Gone",
    "500 Internal Server Error",
    "503 Service Unavailable",
    "too many redirections",
    "incomplete response",
];

/// Fails for one of the reasons. The message contains the square, or is the reason alone.
struct Failing {
    has_message: bool,
}

#[async_trait]
impl AsyncWork for Failing {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        let reason = REASONS.get(task.index.0 as usize % REASONS.len()).copied().unwrap_or_default();
        let error = TaskError::permanent(reason);
        Err(if self.has_message {
            error.with_message(format!("{reason}: host-{}.example", task.index.0))
        } else {
            error
        })
    }
}

pub(crate) async fn measure() {
    println!();
    println!("{} failures with {} reasons, durable.", u32::from(SIDE) * u32::from(SIDE), REASONS.len());
    println!("  messages       CPU us/task    wall s   events B/task   details B/task");
    for (name, has_message) in [("none", false), ("one each", true)] {
        let folder = tempfile::tempdir().expect("a folder for the journal");
        let file = folder.path().join("quilt.db");
        let (cpu, wall) = run(&file, has_message).await;
        let tasks = f64::from(SIDE) * f64::from(SIDE);
        println!(
            "  {name:<12} {:>13.3} {:>9.2} {:>15.2} {:>16.2}",
            cpu.as_secs_f64() * 1e6 / tasks,
            wall.as_secs_f64(),
            journal_bytes(&file) as f64 / tasks,
            detail_bytes(&file) as f64 / tasks,
        );
    }
}

async fn run(file: &Path, has_message: bool) -> (Duration, Duration) {
    let journal = SqliteJournal::open(file).expect("a new file");
    let registry = Registry::default().with_work("failing", move || Work::waiting(Failing { has_message }));
    let settings =
        Settings { node: Node { slots: Slots::all(WORKERS), ..Settings::default().node }, ..Settings::default() };
    let engine = Engine::start(Arc::new(journal), None, registry, settings).await.expect("the journal is empty");
    let work = WorkSpec { kind: "failing".into(), parameters: serde_json::Map::new() };
    let spec = BatchSpec::new(work, Grid::new(SIDE, SIDE).expect("a valid shape"), 1);
    let (cpu, wall) = (cpu_time(), Instant::now());
    let id = BatchId::from_bytes([1; 16]);
    engine.launch(id, OWNER, spec, None).await.expect("accepted");
    let batch = engine.open(id).await.expect("the journal answers").expect("it was launched");
    batch.wait_until(|quilt| quilt.status() == Status::Finished).await;
    let measured = (cpu_time() - cpu, wall.elapsed());
    drop(batch);
    engine.shutdown(Duration::from_secs(10)).await;
    measured
}

fn detail_bytes(file: &Path) -> u64 {
    let connection = rusqlite::Connection::open(file).expect("it is there");
    connection
        .query_row("SELECT coalesce(sum(length(body)), 0) FROM details", [], |row| row.get::<_, i64>(0))
        .expect("a sum")
        .unsigned_abs()
}
