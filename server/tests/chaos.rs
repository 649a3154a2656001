//! Kills the real server again and again at moments that nobody chose, and checks from outside that every promise was kept.
//!
//! `make chaos` does it 200 times. Everything follows from a seed, but for the moments at which the system does its part; `CHAOS_SEED` and `CHAOS_KILLS`
//! ask for a certain run.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;
mod promises;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{Server, events, folder};
use promises::{Asked, Attempts, PATIENCE, Sum, check, check_ok};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Client;

/// How often the server is killed unless somebody says otherwise.
const USUAL_KILLS: u64 = 8;

/// One life of the server. It dies while somebody talks to it, and before that it answers.
async fn live_and_die(data: &Path, random: &mut StdRng, client: &Client, asked: &mut Vec<Asked>) -> Duration {
    let started = Instant::now();
    let server = Server::start(data);
    let recovery = started.elapsed();
    let life = Duration::from_micros(random.random_range(0..1_200_000));
    let is_killed = AtomicBool::new(false);
    let kill = async {
        tokio::time::sleep(life).await;
        is_killed.store(true, Ordering::SeqCst);
        server.kill_now();
    };
    let talk = async {
        loop {
            asked.push(Asked::new(random, asked.len()));
            let last = asked.len() - 1;
            for (place, asked) in asked.iter_mut().enumerate() {
                // Most of the time is for new ones.
                let is_chosen = asked.id.is_none() || place == last || random.random_bool(0.2);
                let result = match &asked.id {
                    _ if !is_chosen => Ok(()),
                    None => asked.launch(client, &server).await,
                    Some(_) => asked.meddle(random, client, &server).await,
                };
                if let Err(error) = result {
                    assert!(is_killed.load(Ordering::SeqCst), "a server that lives answers: {error}");
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(random.random_range(20..200))).await;
        }
    };
    tokio::join!(kill, talk);
    recovery
}

#[tokio::test(flavor = "multi_thread")]
async fn however_often_the_server_is_killed_every_promise_is_kept() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seed = number("CHAOS_SEED").unwrap_or_else(rand::random);
    let kills = number("CHAOS_KILLS").unwrap_or(USUAL_KILLS);
    println!("CHAOS_SEED={seed} CHAOS_KILLS={kills}");
    let mut random = StdRng::seed_from_u64(seed);
    let folder = folder();
    let client = common::visitor();
    let mut asked = Vec::new();
    let mut slowest_start = Duration::ZERO;
    for kill in 1..=kills {
        let start = live_and_die(folder.path(), &mut random, &client, &mut asked).await;
        slowest_start = slowest_start.max(start);
        if kill.is_multiple_of(20) {
            println!("{kill} kills, {} batches asked for", asked.len());
        }
    }
    let server = Server::start(folder.path());
    let promised: Vec<&mut Asked> = asked.iter_mut().filter(|asked| asked.id.is_some()).collect();
    let batches = promised.len();
    let mut sum = Sum::default();
    for asked in promised {
        let id = asked.id.clone().expect("it was acknowledged");
        check_ok(&client.post(server.at(&format!("/api/batches/{id}/resume"))).send().await.expect("an answer"));
        let told =
            tokio::time::timeout(PATIENCE, events(&client, &server, &id, None)).await.expect("it comes to an end");
        sum.add(check(asked, &told, &client, &server, &mut random, Attempts::Exact).await);
    }
    let Sum { tasks, laps, cancelled, attempts } = sum;
    println!(
        "{kills} kills; {batches} batches acknowledged ({cancelled} of them cancelled), with {tasks} tasks and {laps} finish lines: \
         every square has one outcome a lap, every lap one finish line and one receipt that agrees with it; {attempts} squares' attempts \
         were within their bounds; the slowest start took {slowest_start:.1?}"
    );
    assert!(batches > 0 && laps > 0, "there was something to check");
}
