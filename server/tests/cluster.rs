//! Clusters of several nodes on NATS.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;
#[path = "../../crates/engine/tests/nats/mod.rs"]
mod nats;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use common::cluster::{Web, Worker};
use common::socket::{open, recv_frame, send_frame};
use common::{FOREVER, Server, TEST_TIMEOUT, command, events, launch, visitor};
use nats::Nats;
use quilt::wire::{ClientFrame, ServerFrame};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

async fn get(client: &Client, server: &Server, path: &str) -> Value {
    let response = client.get(server.at(path)).send().await.expect("an answer");
    assert_eq!(response.status(), 200, "{path}");
    response.json().await.expect("JSON")
}

async fn post(client: &Client, server: &Server, path: &str) -> Value {
    let response = client.post(server.at(path)).send().await.expect("an answer");
    assert_eq!(response.status(), 200, "{path}");
    response.json().await.expect("JSON")
}

/// Waits until the batch fulfills a condition on a node.
async fn until(client: &Client, server: &Server, id: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let waiting = async {
        loop {
            let batch = get(client, server, &format!("/api/batches/{id}")).await;
            if is_so(&batch) {
                return batch;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(3 * TEST_TIMEOUT, waiting).await.expect("it comes to be so")
}

/// Checks the events on a node: each square once, and one finish line.
async fn check_outcomes(client: &Client, server: &Server, id: &str, tasks: usize) {
    let received = tokio::time::timeout(3 * TEST_TIMEOUT, events(client, server, id, None)).await.expect("it ends");
    let squares: BTreeSet<(u64, u64)> = received
        .iter()
        .filter(|event| event.name == "square")
        .map(|event| (event.data["row"].as_u64().expect("a row"), event.data["column"].as_u64().expect("a column")))
        .collect();
    assert_eq!(received.iter().filter(|event| event.name == "square").count(), tasks);
    assert_eq!(squares.len(), tasks);
    let ends: Vec<_> = received.iter().filter(|event| event.name == "status").collect();
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0].data, json!({"status": "complete", "done": tasks, "failed": 0}));
}

/// Returns the nodes that ran tasks of a batch with `side` rows and columns.
async fn workers_of(client: &Client, server: &Server, id: &str, side: u32) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for index in 0..side * side {
        let square = get(client, server, &format!("/api/batches/{id}/squares/{}/{}", index / side, index % side)).await;
        for attempt in square["attempts"].as_array().expect("a list") {
            let worker = attempt["worker"].as_str().expect("a name");
            names.insert(worker.split_once('-').expect("a number follows").0.to_owned());
        }
    }
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_one_node_is_seen_and_controlled_on_every_other() {
    let nats = Nats::start();
    let workers = ["left", "right"].map(|name| Worker::start(&nats.url(), name, 4));
    let [one, other] = ["one", "other"].map(|name| Web::start(&nats.url(), name, &[]).server);
    // Both nodes accept the same cookie.
    let client = visitor();
    let held = launch(&client, &one, 12, 12, json!({"duration_ms": FOREVER})).await;
    let paused = post(&client, &other, &format!("/api/batches/{held}/pause")).await;
    assert_eq!(paused["status"], "paused");
    until(&client, &one, &held, |batch| batch["status"] == "paused").await;
    post(&client, &one, &format!("/api/batches/{held}/resume")).await;
    until(&client, &other, &held, |batch| batch["status"] == "running").await;
    let cancelled = post(&client, &other, &format!("/api/batches/{held}/cancel")).await;
    assert_eq!(cancelled["status"], "cancelled");
    until(&client, &one, &held, |batch| batch["status"] == "cancelled").await;
    // Both workers run tasks, though maybe not of the first batch on a busy machine.
    let work = json!({"duration_ms": [20, 60], "failure_rate": 0.9, "permanent_rate": 0.02});
    let mut names = BTreeSet::new();
    let both = async {
        loop {
            let id = launch(&client, &one, 12, 12, work.clone()).await;
            let finished = until(&client, &other, &id, |batch| batch["status"] == "finished").await;
            assert!(finished["failed"].as_u64().expect("a number") > 0);
            names.extend(workers_of(&client, &other, &id, 12).await);
            if names.len() == 2 {
                return id;
            }
        }
    };
    let id = tokio::time::timeout(3 * TEST_TIMEOUT, both).await.expect("both have had their share");
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["left", "right"]);
    let receipt = format!("/api/batches/{id}/receipt");
    assert_eq!(get(&client, &one, &receipt).await, get(&client, &other, &receipt).await);
    assert_eq!(get(&client, &other, "/api/batches").await["batches"][0]["id"], id.as_str());
    let again = post(&client, &other, &format!("/api/batches/{id}/retry")).await;
    assert_eq!(again["lap"], 2);
    until(&client, &one, &id, |batch| batch["lap"] == 2 && batch["status"] == "finished").await;
    let deleted = client.delete(other.at(&format!("/api/batches/{id}"))).send().await.expect("an answer");
    assert_eq!(deleted.status(), 204);
    let status = async |server: &Server| {
        client.get(server.at(&format!("/api/batches/{id}"))).send().await.expect("an answer").status()
    };
    assert_eq!(status(&other).await, 404);
    // The other server receives the deletion.
    let gone = async { while status(&one).await != 404 {} };
    tokio::time::timeout(TEST_TIMEOUT, gone).await.expect("it is gone everywhere");
    drop(workers);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_drains_on_all_nodes_and_goes_on_without_running_anything_twice() {
    const SIDE: u32 = 6;
    let nats = Nats::start();
    let workers = ["left", "right"].map(|name| Worker::start(&nats.url(), name, 4));
    let [one, other] = ["one", "other"].map(|name| Web::start(&nats.url(), name, &[]).server);
    let client = visitor();
    let id = launch(&client, &one, SIDE, SIDE, json!({"duration_ms": [1_000, 2_000]})).await;
    until(&client, &other, &id, |batch| batch["done"].as_u64() > Some(0)).await;
    let draining = post(&client, &other, &format!("/api/batches/{id}/cancel?drain=true")).await;
    assert_eq!((&draining["status"], &draining["cancelled_because"]), (&json!("draining"), &json!("asked")));
    let stopped =
        until(&client, &one, &id, |batch| batch["status"] != "draining" && batch["status"] != "running").await;
    assert_eq!(stopped["status"], "cancelled");
    let done = stopped["done"].as_u64().expect("a number");
    assert_eq!(stopped["not_run"], json!(u64::from(SIDE * SIDE) - done));
    let attempts = async || {
        let mut attempts = 0;
        for index in 0..SIDE * SIDE {
            let square =
                get(&client, &one, &format!("/api/batches/{id}/squares/{}/{}", index / SIDE, index % SIDE)).await;
            attempts += square["attempts"].as_array().expect("a list").len() as u64;
        }
        attempts
    };
    assert_eq!(attempts().await, done, "what was started has its outcome");
    post(&client, &other, &format!("/api/batches/{id}/continue")).await;
    let finished = until(&client, &one, &id, |batch| batch["status"] == "finished").await;
    assert_eq!((&finished["done"], &finished["lap"]), (&json!(SIDE * SIDE), &json!(2)));
    assert_eq!(attempts().await, u64::from(SIDE * SIDE), "nothing ran twice");
    drop(workers);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_tasks_at_the_same_time_holds_for_all_nodes_together() {
    let nats = Nats::start();
    let workers = ["a", "b", "c"].map(|name| Worker::start(&nats.url(), name, 8));
    let web = Web::start(&nats.url(), "web", &[]);
    let client = visitor();
    // Once the nodes know each other, the limit must always hold.
    let discovery = async { while max_concurrency(&client, &web.server, 4).await > 4 {} };
    tokio::time::timeout(3 * TEST_TIMEOUT, discovery).await.expect("the nodes discover each other");
    for _ in 0..3 {
        let most = max_concurrency(&client, &web.server, 4).await;
        assert!(most <= 4, "{most} at the same time");
    }
    // The limit is also reached.
    let body = json!({"work": {"kind": "color", "duration_ms": FOREVER}, "rows": 8, "columns": 8, "concurrency": 4, "timeout_ms": FOREVER[0]});
    let launched = client.post(web.server.at("/api/batches")).json(&body).send().await.expect("an answer");
    let launched: Value = launched.json().await.expect("JSON");
    let mut socket = open(&web.server, launched["id"].as_str().expect("an id")).await;
    send_frame(&mut socket, ClientFrame::Hello { from: None }).await;
    let filling = async {
        loop {
            if let ServerFrame::Status(load) = recv_frame(&mut socket).await.expect("it goes on").frame {
                assert!(load.running() <= 4, "{} at the same time", load.running());
                if load.running() == 4 {
                    return;
                }
            }
        }
    };
    tokio::time::timeout(TEST_TIMEOUT, filling).await.expect("four run");
    drop(workers);
}

/// Runs a batch with this limit, and returns the maximum number of concurrent tasks.
async fn max_concurrency(client: &Client, server: &Server, concurrency: u32) -> i32 {
    let work = json!({"kind": "color", "duration_ms": [30, 30]});
    let body = json!({"work": work, "rows": 8, "columns": 8, "concurrency": concurrency});
    let launched = client.post(server.at("/api/batches")).json(&body).send().await.expect("an answer");
    let launched: Value = launched.json().await.expect("JSON");
    let id = launched["id"].as_str().expect("an id");
    until(client, server, id, |batch| batch["status"] == "finished").await;
    let mut moments = Vec::new();
    for index in 0..64 {
        let square = get(client, server, &format!("/api/batches/{id}/squares/{}/{}", index / 8, index % 8)).await;
        let attempt = &square["attempts"][0];
        let started = attempt["started_at"].as_str().expect("a time");
        let started = time::OffsetDateTime::parse(started, &time::format_description::well_known::Rfc3339);
        let started = started.expect("a time").unix_timestamp_nanos() / 1_000_000;
        // Times are in milliseconds. An end in the same millisecond as a start counts as earlier.
        moments.push((started + i128::from(attempt["took_ms"].as_u64().expect("a time")) - 1, -1));
        moments.push((started, 1));
    }
    moments.sort_unstable();
    let counts = moments.iter().scan(0, |count, (_, change)| {
        *count += change;
        Some(*count)
    });
    counts.max().expect("there were some")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_worker_and_a_killed_server_leave_behind_is_finished_by_the_others() {
    let nats = Nats::start();
    let [left, right] = ["left", "right"].map(|name| Worker::start(&nats.url(), name, 4));
    let [one, other] = ["one", "other"].map(|name| Web::start(&nats.url(), name, &[]).server);
    let client = visitor();
    let id = launch(&client, &one, 10, 10, json!({"duration_ms": [100, 300]})).await;
    until(&client, &other, &id, |batch| batch["done"].as_u64() > Some(10)).await;
    left.kill();
    // The coordinator of the lap.
    one.kill();
    check_outcomes(&client, &other, &id, 100).await;
    // Another node finalizes the batch.
    let noted = async {
        loop {
            let launched = launch(&client, &other, 1, 1, json!({})).await;
            until(&client, &other, &launched, |batch| batch["status"] == "finished").await;
            let receipt = get(&client, &other, &format!("/api/batches/{id}/receipt")).await;
            let deleted = client.delete(other.at(&format!("/api/batches/{id}"))).send().await.expect("an answer");
            if deleted.status() == 204 {
                return receipt;
            }
        }
    };
    assert_eq!(noted.await["done"], 100);
    drop(right);
}

/// Starts a TCP proxy to NATS. The sender blocks and unblocks it.
async fn proxy(port: u16) -> (u16, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let own = listener.local_addr().expect("it listens").port();
    let (sender, is_open) = watch::channel(true);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut is_open = is_open.clone();
            tokio::spawn(async move {
                let mut far = TcpStream::connect(("127.0.0.1", port)).await.expect("NATS listens");
                loop {
                    // While it is blocked, the connections stay open.
                    let _ = is_open.wait_for(|is_open| *is_open).await;
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => return,
                        _ = is_open.wait_for(|is_open| !is_open) => {}
                    }
                }
            });
        }
    });
    (own, sender)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_cut_off_is_replaced_and_takes_part_again_when_it_is_back() {
    let nats = Nats::start();
    let (port, line) = proxy(nats.port).await;
    let near = Worker::start(&nats.url(), "near", 4);
    let far = Worker::start(&format!("nats://127.0.0.1:{port}"), "far", 4);
    let web = Web::start(&nats.url(), "web", &[]).server;
    let client = visitor();
    let id = launch(&client, &web, 10, 10, json!({"duration_ms": [100, 300]})).await;
    until(&client, &web, &id, |batch| batch["done"].as_u64() > Some(10)).await;
    line.send_replace(false);
    check_outcomes(&client, &web, &id, 100).await;
    line.send_replace(true);
    // Now `far` is the only worker.
    near.kill();
    let id = launch(&client, &web, 4, 4, json!({})).await;
    check_outcomes(&client, &web, &id, 16).await;
    drop(far);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nats_is_away_nothing_is_lost_and_what_cannot_be_done_is_told() {
    let mut nats = Nats::start();
    let worker = Worker::start(&nats.url(), "worker", 4);
    let web = Web::start(&nats.url(), "web", &[]).server;
    let client = visitor();
    let held = launch(&client, &web, 1, 1, json!({"duration_ms": FOREVER})).await;
    let id = launch(&client, &web, 10, 10, json!({"duration_ms": [50, 150]})).await;
    until(&client, &web, &id, |batch| batch["done"].as_u64() > Some(10)).await;
    let health = async || client.get(web.at("/healthz")).send().await.expect("an answer").status();
    assert_eq!(health().await, 200);
    nats.kill();
    while health().await != 503 {}
    tokio::time::sleep(Duration::from_secs(3)).await;
    let body = json!({"work": {"kind": "color"}, "rows": 2, "columns": 2});
    let started = Instant::now();
    let refused = client.post(web.at("/api/batches")).json(&body).send().await.expect("an answer");
    assert!(started.elapsed() < Duration::from_secs(2), "it does not wait: {:?}", started.elapsed());
    assert_eq!(refused.status(), 503);
    let problem: Value = refused.json().await.expect("JSON");
    assert!(problem["detail"].as_str().expect("a sentence").contains("there has been no connection"), "{problem}");
    // Batches in memory can still be read.
    assert_eq!(get(&client, &web, &format!("/api/batches/{held}")).await["status"], "running");
    nats.run();
    check_outcomes(&client, &web, &id, 100).await;
    while health().await != 200 {}
    drop(worker);
}

#[test]
fn a_node_that_cannot_take_part_says_why() {
    let said = |arguments: &[&str]| {
        let output = command().args(arguments).output().expect("the binary starts");
        assert!(!output.status.success());
        String::from_utf8(output.stderr).expect("text")
    };
    assert!(said(&["work"]).contains("needs the addresses of NATS servers"));
    assert!(said(&["work", "--nats", "http://x"]).contains("is no address of a NATS server"));
    assert!(said(&["work", "--nats", "nats://x", "--slots", "0"]).contains("slots must be from 1"));
    assert!(said(&["serve", "--workers", "0"]).contains("slots must be from 1"));
    assert!(said(&["serve", "--nats", "nats://x", "--nats-replicas", "2"]).contains("must be 1, 3 or 5, not 2"));
    assert!(said(&["serve", "--nats", "nats://x", "--nats-prefix", "a.b"]).contains("prefix \"a.b\" is invalid"));
    assert!(said(&["serve", "--nats", "nats://x", "--name", "a b"]).contains("letters, digits"));
    assert!(said(&["serve", "--nats", "nats://x", "--nats-key", "k"]).contains("go together"));
}
