//! A task that kills its server: it is found, and nothing else fails.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use common::{PATIENCE, command, folder, visitor};
use reqwest::Client;
use serde_json::{Value, json};

/// A life of the server, which may be over at any moment.
struct Life {
    child: Child,
    /// Nothing if it was killed before it said where it is.
    url: String,
}

impl Life {
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

    fn is_over(&mut self) -> bool {
        self.child.try_wait().expect("it is a child").is_some()
    }

    async fn batch(&self, client: &Client, id: &str) -> Option<Value> {
        let response = client.get(format!("{}/api/batches/{id}", self.url)).send().await.ok()?;
        response.json().await.ok()
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets servers live and die until a batch is finished. Returns it, and how many lives it took.
async fn run(items: &[&str], seconds: &str) -> (Value, Vec<Value>, u32) {
    let folder = folder();
    let data = folder.path().join("data");
    let config = folder.path().join("quilt.toml");
    let script = "if test \\\"$1\\\" = kill; then kill -9 $PPID; fi; sleep SECONDS".replace("SECONDS", seconds);
    let text = format!("[commands.step]\nprogram = \"sh\"\nargs = [\"-c\", \"{script}\", \"sh\", \"{{}}\"]\n");
    std::fs::write(&config, text).expect("writable");
    let client = visitor();
    let mut life = Life::start(&data, &config);
    let launch = json!({"work": {"kind": "command", "name": "step", "items": items}});
    let launched = client.post(format!("{}/api/batches", life.url)).json(&launch).send().await.expect("an answer");
    let launched: Value = launched.json().await.expect("JSON");
    let id = launched["id"].as_str().expect("it is launched").to_owned();
    let started = Instant::now();
    for lives in 1.. {
        while !life.is_over() {
            assert!(started.elapsed() < PATIENCE, "it is finished, or the server dies");
            if let Some(batch) = life.batch(&client, &id).await.filter(|batch| batch["status"] == "finished") {
                let results = client.get(format!("{}/api/batches/{id}/results", life.url)).send().await;
                let results = results.expect("an answer").text().await.expect("text");
                let rows = results.lines().map(|line| serde_json::from_str(line).expect("JSON"));
                return (batch, rows.collect(), lives);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        life = Life::start(&data, &config);
    }
    unreachable!("a life is counted in 32 bits");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_kills_its_server_fails_within_ten_lives_and_all_others_are_done() {
    only_the_killer_fails(24, "0.2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_found_among_many_that_take_no_time() {
    only_the_killer_fails(400, "0").await;
}

async fn only_the_killer_fails(tasks: u32, seconds: &str) {
    let killer = tasks * 2 / 3;
    let items: Vec<String> =
        (0..tasks).map(|number| if number == killer { "kill".into() } else { number.to_string() }).collect();
    let (batch, results, lives) = run(&items.iter().map(String::as_str).collect::<Vec<_>>(), seconds).await;
    assert_eq!((&batch["done"], &batch["failed"]), (&json!(tasks - 1), &json!(1)), "after {lives} lives: {batch}");
    let failed: Vec<&Value> = results.iter().filter(|row| !row["failed"].is_null()).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["item"], "kill");
    assert_eq!(failed[0]["reason"], "workers were lost");
    assert!((3..=10).contains(&lives), "{lives} lives");
}
