//! A task that kills its server fails, and no other task does.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use common::{TEST_TIMEOUT, command, folder, visitor};
use reqwest::Client;
use serde_json::{Value, json};

/// A server process, which may exit at any time.
struct ServerProcess {
    child: Child,
    /// Empty if the server was killed before it printed its URL.
    url: String,
}

impl ServerProcess {
    fn start(data: &Path, config: &Path) -> Self {
        let mut child = command()
            .args(["serve", "--addr", "127.0.0.1:0", "--log-filter", "error", "--data"])
            .arg(data)
            .arg("--config")
            .arg(config)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line).expect("readable");
        Self { child, url: line.trim().strip_prefix("Quilt is at ").unwrap_or_default().to_owned() }
    }

    fn has_exited(&mut self) -> bool {
        self.child.try_wait().expect("it is a child").is_some()
    }

    async fn batch(&self, client: &Client, id: &str) -> Option<Value> {
        let response = client.get(format!("{}/api/batches/{id}", self.url)).send().await.ok()?;
        response.json().await.ok()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Restarts the server until a batch is finished. Returns the batch, its results and the number of starts.
async fn run(items: &[&str], seconds: &str) -> (Value, Vec<Value>, u32) {
    let folder = folder();
    let data = folder.path().join("data");
    let config = folder.path().join("quilt.toml");
    let script = "if test \\\"$1\\\" = kill; then kill -9 $PPID; fi; sleep SECONDS".replace("SECONDS", seconds);
    let text = format!("[commands.step]\nprogram = \"sh\"\nargs = [\"-c\", \"{script}\", \"sh\", \"{{}}\"]\n");
    std::fs::write(&config, text).expect("writable");
    let client = visitor();
    let mut server = ServerProcess::start(&data, &config);
    let launch = json!({"work": {"kind": "command", "name": "step", "items": items}});
    let launched = client.post(format!("{}/api/batches", server.url)).json(&launch).send().await.expect("an answer");
    let launched: Value = launched.json().await.expect("JSON");
    let id = launched["id"].as_str().expect("it is launched").to_owned();
    let started = Instant::now();
    for starts in 1.. {
        while !server.has_exited() {
            assert!(started.elapsed() < TEST_TIMEOUT, "it is finished, or the server dies");
            if let Some(batch) = server.batch(&client, &id).await.filter(|batch| batch["status"] == "finished") {
                let results = client.get(format!("{}/api/batches/{id}/results", server.url)).send().await;
                let results = results.expect("an answer").text().await.expect("text");
                let rows = results.lines().map(|line| serde_json::from_str(line).expect("JSON"));
                return (batch, rows.collect(), starts);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server = ServerProcess::start(&data, &config);
    }
    unreachable!("fewer than 2^32 starts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_kills_its_server_fails_within_ten_lives_and_all_others_are_done() {
    check_only_poison_task_fails(24, "0.2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_found_among_many_that_take_no_time() {
    check_only_poison_task_fails(400, "0").await;
}

async fn check_only_poison_task_fails(tasks: u32, seconds: &str) {
    let poison_task = tasks * 2 / 3;
    let items: Vec<String> =
        (0..tasks).map(|number| if number == poison_task { "kill".into() } else { number.to_string() }).collect();
    let (batch, results, starts) = run(&items.iter().map(String::as_str).collect::<Vec<_>>(), seconds).await;
    assert_eq!((&batch["done"], &batch["failed"]), (&json!(tasks - 1), &json!(1)), "after {starts} starts: {batch}");
    let failed: Vec<&Value> = results.iter().filter(|row| !row["failed"].is_null()).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["item"], "kill");
    assert_eq!(failed[0]["reason"], "workers were lost");
    assert!((3..=10).contains(&starts), "{starts} starts");
}
