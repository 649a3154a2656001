//! Kills the server repeatedly at random times, and checks the guarantees over the API.
//!
//! `make chaos` runs it with 200 kills. Everything but the timing of the system is determined by a seed; `CHAOS_SEED` and `CHAOS_KILLS` repeat a
//! run.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;
mod promises;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{Server, events, folder};
use promises::{Attempts, Sum, TEST_TIMEOUT, TrackedBatch, check, check_ok};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Client;

/// The default number of kills.
const DEFAULT_KILLS: u64 = 8;

/// Starts the server, sends requests, and kills it after a random time. Requests before that must be answered. Returns the startup time.
async fn run_until_killed(
    data: &Path,
    random: &mut StdRng,
    client: &Client,
    tracked: &mut Vec<TrackedBatch>,
) -> Duration {
    let started = Instant::now();
    let server = Server::start(data);
    let recovery = started.elapsed();
    let lifetime = Duration::from_micros(random.random_range(0..1_200_000));
    let is_killed = AtomicBool::new(false);
    let kill = async {
        tokio::time::sleep(lifetime).await;
        is_killed.store(true, Ordering::SeqCst);
        server.kill_now();
    };
    let requests = async {
        loop {
            tracked.push(TrackedBatch::new(random, tracked.len()));
            let last = tracked.len() - 1;
            for (place, tracked) in tracked.iter_mut().enumerate() {
                // Most requests are for new batches.
                let is_chosen = tracked.id.is_none() || place == last || random.random_bool(0.2);
                let result = match &tracked.id {
                    _ if !is_chosen => Ok(()),
                    None => tracked.launch(client, &server).await,
                    Some(_) => tracked.act(random, client, &server).await,
                };
                if let Err(error) = result {
                    assert!(is_killed.load(Ordering::SeqCst), "a server that lives answers: {error}");
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(random.random_range(20..200))).await;
        }
    };
    tokio::join!(kill, requests);
    recovery
}

#[tokio::test(flavor = "multi_thread")]
async fn however_often_the_server_is_killed_every_promise_is_kept() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seed = number("CHAOS_SEED").unwrap_or_else(rand::random);
    let kills = number("CHAOS_KILLS").unwrap_or(DEFAULT_KILLS);
    println!("CHAOS_SEED={seed} CHAOS_KILLS={kills}");
    let mut random = StdRng::seed_from_u64(seed);
    let folder = folder();
    let client = common::visitor();
    let mut tracked = Vec::new();
    let mut slowest_start = Duration::ZERO;
    for kill in 1..=kills {
        let start = run_until_killed(folder.path(), &mut random, &client, &mut tracked).await;
        slowest_start = slowest_start.max(start);
        if kill.is_multiple_of(20) {
            println!("{kill} kills, {} batches asked for", tracked.len());
        }
    }
    let server = Server::start(folder.path());
    let promised: Vec<&mut TrackedBatch> = tracked.iter_mut().filter(|tracked| tracked.id.is_some()).collect();
    let batches = promised.len();
    let mut sum = Sum::default();
    for tracked in promised {
        let id = tracked.id.clone().expect("it was acknowledged");
        check_ok(&client.post(server.at(&format!("/api/batches/{id}/resume"))).send().await.expect("an answer"));
        let received =
            tokio::time::timeout(TEST_TIMEOUT, events(&client, &server, &id, None)).await.expect("it comes to an end");
        sum.add(check(tracked, &received, &client, &server, &mut random, Attempts::Exact).await);
    }
    let Sum { tasks, laps, cancelled, attempts } = sum;
    println!(
        "{kills} kills; {batches} batches acknowledged ({cancelled} of them cancelled), with {tasks} tasks and {laps} finish lines: \
         every square has one outcome a lap, every lap one finish line and one receipt that agrees with it; {attempts} squares' attempts \
         were within their bounds; the slowest start took {slowest_start:.1?}"
    );
    assert!(batches > 0 && laps > 0, "there was something to check");
}
