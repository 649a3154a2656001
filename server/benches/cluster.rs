//! Compares worker processes on NATS with a single server and with other queues: tasks per second, and CPU per task. Also measures the time
//! from the launch on one node to the first color on another.
//!
//! NATS, the servers and the workers share the processors of this machine, and the CPU time of all of them counts. `PEER_…=command` is a
//! program that runs `TASKS` tasks with `WORKERS` processes and prints its duration and CPU time in seconds. scripts/bench-cluster.sh sets
//! these variables.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a measurement that cannot go on has failed"
)]

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../../crates/engine/tests/nats/mod.rs"]
mod nats;
mod shared;

use std::process::Command;
use std::time::{Duration, Instant};

use common::cluster::{Web, Worker};
use common::{Server, folder, visitor};
use nats::Nats;
use reqwest::Client;
use serde_json::{Value, json};
use shared::{cpu, launch, number};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The numbers of worker processes.
const WORKERS: [usize; 3] = [1, 2, 4];

/// Rows and columns of the batches.
const SIDES: [u64; 3] = [100, 316, 1_000];

/// The total number of squares in the runs of one size.
const RUN_SQUARES: u64 = 3_000_000;

/// The number of tasks for other queues, which are slower.
const PEER_TASKS: u64 = 10_000;

/// The number of measurements of the time to the first color.
const LAUNCHES: usize = 51;

/// The duration and CPU time of a run.
#[derive(Clone, Copy)]
struct Cost {
    tasks: u64,
    seconds: f64,
    cpu: f64,
}

impl Cost {
    fn each(self) -> f64 {
        self.cpu * 1e6 / self.tasks as f64
    }

    fn print(self, what: &str, beside: Option<Cost>) {
        let ratio = beside.map_or(String::new(), |other| format!("  {:9.1} x", self.each() / other.each()));
        println!(
            "  {what:<34} {:>9} tasks  {:>9.0} a second  {:>9.2} us CPU a task{ratio}",
            self.tasks,
            self.tasks as f64 / self.seconds,
            self.each()
        );
    }
}

#[tokio::main]
async fn main() {
    let side = number("SIDE", 0);
    let sides = if side == 0 { SIDES.to_vec() } else { vec![side] };
    println!("tasks that do nothing but choose a color; ratios are of CPU a task, beside one server that is alone");
    let mut alone = Vec::new();
    {
        let folder = folder();
        let server = Server::start_with(folder.path(), &["--log-filter", "error"]);
        let pids = [server.pid()];
        run(&server, &pids, 100).await;
        for side in &sides {
            let cost = several(&server, &pids, *side).await;
            cost.print("alone, on a file", None);
            alone.push(cost);
        }
    }
    for workers in WORKERS {
        let nats = Nats::start();
        let web = Web::start(&nats.url(), "web", &[]);
        let workers: Vec<Worker> =
            (0..workers).map(|number| Worker::start(&nats.url(), &format!("worker{number}"), 16)).collect();
        let own = [nats.pid(), web.server.pid()];
        let pids: Vec<u32> = workers.iter().map(Worker::pid).chain(own).collect();
        run(&web.server, &pids, 100).await;
        for (side, alone) in sides.iter().zip(&alone) {
            let cost = several(&web.server, &pids, *side).await;
            cost.print(&format!("NATS, {} worker processes", workers.len()), Some(*alone));
        }
    }
    peers(alone.first().copied());
    first_color().await;
}

/// Repeats a run. Returns the shortest duration and the mean CPU time, because CPU time has a resolution of 10 ms.
async fn several(server: &Server, pids: &[u32], side: u64) -> Cost {
    let runs = (RUN_SQUARES / (side * side)).clamp(3, 100);
    let mut all = Cost { tasks: 0, seconds: f64::INFINITY, cpu: 0.0 };
    for _ in 0..runs {
        let cost = run(server, pids, side).await;
        all = Cost { tasks: all.tasks + cost.tasks, seconds: all.seconds.min(cost.seconds), cpu: all.cpu + cost.cpu };
    }
    Cost { tasks: side * side, cpu: all.cpu / runs as f64, ..all }
}

async fn run(server: &Server, pids: &[u32], side: u64) -> Cost {
    let client = visitor();
    let total = || pids.iter().map(|pid| cpu(*pid)).sum::<f64>();
    let before = total();
    let spec = json!({"work": {"kind": "color"}, "rows": side, "columns": side});
    let id = launch(&client, server, &spec).await;
    let finished = loop {
        let batch = get(&client, server, &format!("/api/batches/{id}")).await;
        if batch["status"] == "finished" {
            break batch;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let moment =
        |name: &str| OffsetDateTime::parse(finished[name].as_str().expect("a time"), &Rfc3339).expect("a time");
    let took = moment("finished_at") - moment("created_at");
    Cost { tasks: side * side, seconds: took.as_seconds_f64().max(0.001), cpu: total() - before }
}

async fn get(client: &Client, server: &Server, path: &str) -> Value {
    let response = client.get(server.at(path)).send().await.expect("an answer");
    response.error_for_status().expect("it is there").json().await.expect("JSON")
}

/// Measures other queues, if they are installed.
fn peers(alone: Option<Cost>) {
    for (name, variable) in [("Celery (group and chord)", "PEER_CELERY"), ("BullMQ (flow)", "PEER_BULLMQ")] {
        let Ok(command) = std::env::var(variable) else {
            println!("  {name:<34} skipped: its server, or what it runs on, is missing");
            continue;
        };
        for workers in WORKERS {
            let output = Command::new("sh")
                .args(["-c", &command])
                .env("TASKS", PEER_TASKS.to_string())
                .env("WORKERS", workers.to_string())
                .output()
                .expect("a shell");
            let printed = String::from_utf8_lossy(&output.stdout);
            let numbers: Vec<f64> =
                printed.lines().last().unwrap_or_default().split(' ').filter_map(|word| word.parse().ok()).collect();
            match numbers[..] {
                [seconds, cpu] => {
                    Cost { tasks: PEER_TASKS, seconds, cpu }.print(&format!("{name}, {workers} processes"), alone);
                }
                _ => println!("  {name:<34} failed: {}", String::from_utf8_lossy(&output.stderr)),
            }
        }
    }
}

/// Measures the time from the launch on one node to the first square event on another one.
async fn first_color() {
    let nats = Nats::start();
    let [one, other] = ["one", "other"].map(|name| Web::start(&nats.url(), name, &[]));
    let _worker = Worker::start(&nats.url(), "worker", 16);
    let client = visitor();
    let mut took = Vec::new();
    // Wait until the worker is ready.
    run(&one.server, &[one.server.pid()], 8).await;
    for _ in 0..LAUNCHES {
        let started = Instant::now();
        let id = launch(&client, &one.server, &json!({"work": {"kind": "color"}, "rows": 8, "columns": 8})).await;
        let path = other.server.at(&format!("/api/batches/{id}/events"));
        let mut events = client.get(path).send().await.expect("an answer");
        let mut text = String::new();
        while !text.contains("event: square") {
            let chunk = events.chunk().await.expect("it goes on").expect("it goes on");
            text.push_str(&String::from_utf8_lossy(&chunk));
        }
        took.push(started.elapsed());
    }
    took.sort_unstable();
    println!(
        "from the launch on one node to the first square on another, idle: p50 {:.1?}, most {:.1?}, of {LAUNCHES}",
        took[took.len() / 2],
        took[took.len() - 1]
    );
}
