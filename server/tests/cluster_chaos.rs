//! Kills workers, servers and NATS repeatedly at random times, and checks the guarantees over the API.
//!
//! `make chaos` runs it with more kills. Everything but the timing of the system is determined by a seed; `CHAOS_SEED` and `CLUSTER_KILLS` repeat
//! a run.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed"
)]

mod common;
#[path = "../../crates/engine/tests/nats/mod.rs"]
mod nats;
mod promises;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use common::cluster::{Web, Worker};
use common::{Server, events};
use nats::{Nats, urls};
use promises::{Attempts, Sum, TEST_TIMEOUT, TrackedBatch, check, check_ok};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Client;
use serde_json::Value;
use tokio::task::block_in_place;
use tokio::time::sleep;

/// The default number of kills.
const DEFAULT_KILLS: u64 = 6;

const SERVERS: usize = 2;
const WORKERS: usize = 3;

/// What can be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Worker(usize),
    Web(usize),
    /// The NATS server with this number.
    Nats(usize),
    /// The NATS server that leads the stream of events.
    Leader,
}

/// The servers. Each can be replaced while requests are sent.
type Webs = [RefCell<Rc<Web>>];

/// The NATS servers and the workers.
struct Cluster {
    nats: Vec<Nats>,
    workers: Vec<Option<Worker>>,
}

impl Cluster {
    fn start(nats: Vec<Nats>) -> Self {
        let mut cluster = Self { nats, workers: Vec::new() };
        cluster.workers = (0..WORKERS).map(|number| Some(cluster.worker(number))).collect();
        cluster
    }

    fn replicas(&self) -> String {
        self.nats.len().to_string()
    }

    fn web(&self, number: usize) -> Web {
        let replicas = self.replicas();
        Web::start(&urls(&self.nats), &format!("web{number}"), &["--nats-replicas", &replicas, "--max-running", "64"])
    }

    fn worker(&self, number: usize) -> Worker {
        Worker::start_with(&urls(&self.nats), &format!("worker{number}"), 6, &["--nats-replicas", &self.replicas()])
    }

    /// Kills a process, and starts it again after a pause.
    async fn kill_and_restart(&mut self, webs: &Webs, victim: Victim, pause: Duration) {
        let victim = match victim {
            Victim::Leader => Victim::Nats(self.leader().await),
            victim => victim,
        };
        match victim {
            Victim::Worker(number) => {
                self.workers[number].take().expect("it runs").kill();
                sleep(pause).await;
                self.workers[number] = Some(block_in_place(|| self.worker(number)));
            }
            Victim::Web(number) => {
                server(webs, number).server.kill_now();
                sleep(pause).await;
                let web = block_in_place(|| self.web(number));
                webs[number].replace(Rc::new(web));
            }
            Victim::Nats(number) => {
                self.nats[number].kill();
                sleep(pause).await;
                block_in_place(|| self.nats[number].run());
            }
            Victim::Leader => unreachable!("it has been found"),
        }
    }

    /// Returns the NATS server that leads the stream of events, or 0 if there is no leader at the moment.
    async fn leader(&self) -> usize {
        for nats in &self.nats {
            let url = format!("http://127.0.0.1:{}/jsz?streams=true", nats.monitor);
            let Ok(answer) = common::stranger().get(url).send().await else { continue };
            let info: Value = answer.json().await.expect("JSON");
            let streams = info["account_details"][0]["stream_detail"].as_array().cloned().unwrap_or_default();
            let journal = streams.iter().find(|stream| stream["name"] == "quilt-journal");
            let leader =
                journal.and_then(|stream| stream["cluster"]["leader"].as_str()?.strip_prefix('n')?.parse().ok());
            if let Some(leader) = leader {
                return leader;
            }
        }
        0
    }
}

fn server(webs: &Webs, number: usize) -> Rc<Web> {
    Rc::clone(&webs[number].borrow())
}

/// Launches and controls batches on random servers until `is_over`. Returns the number of requests without a response.
async fn send_requests(
    webs: &Webs,
    random: &mut StdRng,
    client: &Client,
    tracked: &mut Vec<TrackedBatch>,
    is_over: &Cell<bool>,
) -> usize {
    let mut unanswered = 0;
    while !is_over.get() {
        tracked.push(TrackedBatch::new(random, tracked.len()));
        let last = tracked.len() - 1;
        for (place, tracked) in tracked.iter_mut().enumerate() {
            let is_chosen = place == last || random.random_bool(0.1);
            let web = server(webs, random.random_range(0..SERVERS));
            let result = match &tracked.id {
                _ if !is_chosen || is_over.get() => Ok(()),
                None => tracked.launch(client, &web.server).await,
                Some(_) => tracked.act(random, client, &web.server).await,
            };
            unanswered += usize::from(result.is_err());
        }
        sleep(Duration::from_millis(random.random_range(50..300))).await;
    }
    unanswered
}

async fn check_promises(nats: Vec<Nats>, victims: &[Victim]) {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seed = number("CHAOS_SEED").unwrap_or_else(rand::random);
    let kills = number("CLUSTER_KILLS").unwrap_or(DEFAULT_KILLS);
    println!("CHAOS_SEED={seed} CLUSTER_KILLS={kills}, {} NATS servers", nats.len());
    let mut random = StdRng::seed_from_u64(seed);
    let mut request_rng = StdRng::seed_from_u64(random.random());
    let client = common::visitor();
    let mut cluster = block_in_place(|| Cluster::start(nats));
    let webs: Vec<_> =
        block_in_place(|| (0..SERVERS).map(|number| RefCell::new(Rc::new(cluster.web(number)))).collect());
    let mut tracked = Vec::new();
    let mut killed: BTreeMap<Victim, u32> = BTreeMap::new();
    let mut unanswered = 0;
    for kill in 0..kills {
        // In turn, so that each is killed.
        let victim = victims[(kill as usize) % victims.len()];
        let (lifetime, pause) = (random.random_range(200..1_500), random.random_range(0..2_000));
        let is_over = Cell::new(false);
        let restart = async {
            sleep(Duration::from_millis(lifetime)).await;
            cluster.kill_and_restart(&webs, victim, Duration::from_millis(pause)).await;
            is_over.set(true);
        };
        let requests = send_requests(&webs, &mut request_rng, &client, &mut tracked, &is_over);
        let ((), missed) = tokio::join!(restart, requests);
        unanswered += missed;
        *killed.entry(victim).or_default() += 1;
        if (kill + 1).is_multiple_of(20) {
            println!("{} kills, {} batches asked for", kill + 1, tracked.len());
        }
    }
    let last_kill = Instant::now();
    let webs: Vec<Rc<Web>> = (0..SERVERS).map(|number| server(&webs, number)).collect();
    let mut sum = Sum::default();
    let mut batches = 0;
    for tracked in tracked.iter_mut().filter(|tracked| tracked.id.is_some()) {
        let id = tracked.id.clone().expect("it was acknowledged");
        batches += 1;
        let mut receipts = Vec::new();
        for web in &webs {
            resume(&client, &web.server, &id).await;
            let received = tokio::time::timeout(TEST_TIMEOUT, events(&client, &web.server, &id, None)).await;
            let received = received.unwrap_or_else(|_| panic!("{id} does not come to an end"));
            let sums = check(tracked, &received, &client, &web.server, &mut random, Attempts::Repeated).await;
            if receipts.is_empty() {
                sum.add(sums);
            }
            let receipt =
                client.get(web.server.at(&format!("/api/batches/{id}/receipt"))).send().await.expect("an answer");
            receipts.push(receipt.text().await.expect("a text"));
        }
        assert!(receipts.iter().all(|receipt| *receipt == receipts[0]), "all nodes have the same receipt of {id}");
    }
    let Sum { tasks, laps, cancelled, attempts } = sum;
    println!(
        "{kills} kills {killed:?}, {unanswered} calls unanswered; {batches} batches acknowledged ({cancelled} of them cancelled), with {tasks} tasks and \
         {laps} finish lines, on each of {SERVERS} servers: every square has one outcome a lap, every lap one finish line and one receipt that agrees \
         with it; {attempts} squares' attempts were within their bounds; all was over {:.1?} after the last kill",
        last_kill.elapsed()
    );
    assert!(batches > 0 && laps > 0, "there was something to check");
}

async fn resume(client: &Client, server: &Server, id: &str) {
    check_ok(&client.post(server.at(&format!("/api/batches/{id}/resume"))).send().await.expect("an answer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_of_two_servers_three_workers_and_nats_every_promise_is_kept() {
    use Victim::{Nats as N, Web as S, Worker as W};
    check_promises(vec![Nats::start()], &[W(0), S(0), N(0), W(1), S(1), W(2)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leads_three_nats_servers_is_killed_and_every_promise_is_kept() {
    use Victim::{Leader, Nats as N, Web as S, Worker as W};
    let nats = block_in_place(Nats::start_cluster).into_iter().collect();
    check_promises(nats, &[Leader, W(0), Leader, S(0), N(0), W(1), Leader, S(1), N(1), W(2), N(2)]).await;
}
