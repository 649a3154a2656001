//! Several engines in one world, on a simulated clock: nodes that are cut off, lost and replaced, messages that are late or lost, coordinators
//! that go away with leases out. A run that fails names its seed, and `SIMULATION_SEED=… cargo test --test cluster_simulation` repeats it.
//! `SIMULATION_RUNS` asks for more worlds than the usual ones.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

#[path = "../memory/mod.rs"]
mod memory;
mod network;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::dispatch::{LapId, Waiting};
use engine::work::{AsyncWork, Done, Registry, Task, TaskError, Work};
use engine::{Engine, Journal, Node, Settings};
use quilt::{
    BatchId, BatchSpec, Change, Color, Control, Event, Grid, Halt, Index, OwnerId, Quilt, SquareState, Status, WorkSpec,
};
use rand::RngExt;
use tokio::time::{sleep, timeout};

use crate::network::{Endpoint, Network};

/// Within this time everything has to be done, after the faults are over.
const TOO_LONG: Duration = Duration::from_secs(1_800);

const BATCHES: u8 = 4;
const POISON: Index = Index(37);

thread_local! {
    /// By batch seed and square: how often its task was started, and how many of its tasks run now.
    static TASKS: RefCell<BTreeMap<(u64, u32), Runs>> = const { RefCell::new(BTreeMap::new()) };
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Runs {
    started: u32,
    running: u32,
    /// How often it was started while it ran already.
    doubled: u32,
}

/// Tasks that take from 20 ms to two seconds.
struct Timed;

struct Running(u64, u32);

impl Drop for Running {
    fn drop(&mut self) {
        TASKS.with_borrow_mut(|tasks| tasks.entry((self.0, self.1)).or_default().running -= 1);
    }
}

fn start(task: &Task) -> Running {
    TASKS.with_borrow_mut(|tasks| {
        let runs = tasks.entry((task.seed, task.index.0)).or_default();
        runs.started += 1;
        runs.doubled += u32::from(runs.running > 0);
        runs.running += 1;
    });
    Running(task.seed, task.index.0)
}

#[async_trait]
impl AsyncWork for Timed {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        let _running = start(&task);
        let millis = task.square_rng().random_range(20..200_u64);
        sleep(Duration::from_millis(if task.index.0.is_multiple_of(16) { millis * 10 } else { millis })).await;
        Ok(Color::from_rgb(task.index.0).into())
    }
}

/// Tasks that take long, or no time; some of the latter fail at first.
struct Mixed;

#[async_trait]
impl AsyncWork for Mixed {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        if task.index.0 % 8 == 3 && task.attempt == 1 {
            return Err(TaskError::retryable("not yet"));
        }
        let _running = start(&task);
        if task.index.0.is_multiple_of(8) {
            sleep(Duration::from_secs(task.square_rng().random_range(20..70))).await;
        }
        Ok(Color::from_rgb(task.index.0).into())
    }
}

/// Tasks of which one takes its node with it.
struct Poison(Arc<Network>, engine::dispatch::NodeId);

#[async_trait]
impl AsyncWork for Poison {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        if task.index == POISON {
            self.0.cut_off(self.1, true);
            std::future::pending::<()>().await;
        }
        sleep(Duration::from_millis(20)).await;
        Ok(Color::from_rgb(task.index.0).into())
    }
}

fn id(number: u8) -> BatchId {
    BatchId::from_bytes([number; 16])
}

fn owner(number: u8) -> OwnerId {
    OwnerId::from_bytes([number; 16])
}

fn spec(work: &str, side: u16, seed: u64) -> BatchSpec {
    let work = WorkSpec { kind: work.into(), parameters: serde_json::Map::new() };
    BatchSpec { timeout_ms: 3_600_000, ..BatchSpec::new(work, Grid::new(side, side).expect("a small grid"), seed) }
}

/// A node of a world.
struct Member {
    engine: Engine,
    endpoint: Arc<Endpoint>,
}

async fn join(network: &Arc<Network>, slots: u32) -> Member {
    join_with(network, slots, Registry::default()).await
}

/// Adds a node that also knows other kinds of work.
async fn join_with(network: &Arc<Network>, slots: u32, registry: Registry) -> Member {
    let endpoint = network.join();
    let name = format!("node-{}", endpoint.id());
    let settings = Settings {
        node: Node { name: name.into(), slots, ..Settings::default().node },
        processors: 1,
        ..Settings::default()
    };
    let (of_poison, poisoned) = (Arc::clone(network), endpoint.id());
    let registry = registry
        .with_work("timed", || Work::waiting(Timed))
        .with_work("mixed", || Work::waiting(Mixed))
        .with_work("poison", move || Work::waiting(Poison(Arc::clone(&of_poison), poisoned)));
    let engine = loop {
        let journal: Arc<dyn Journal> = Arc::clone(&endpoint) as _;
        match Engine::start(journal, Some(endpoint.cluster()), registry.clone(), settings.clone()).await {
            Ok(engine) => break engine,
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    };
    Member { engine, endpoint }
}

/// Says which world it was, if the test fails in it.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("it was in the world of SIMULATION_SEED={}", self.0);
        }
    }
}

/// Runs a world on a clock and a thread of its own, and returns what became of its tasks.
fn in_world<F: Future<Output = ()>>(
    seed: u64,
    loss: f64,
    live: impl FnOnce(Arc<Network>) -> F,
) -> (Arc<Network>, BTreeMap<(u64, u32), Runs>) {
    let _seed = Seed(seed);
    TASKS.with_borrow_mut(BTreeMap::clear);
    let network = Network::new(seed, loss);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(live(Arc::clone(&network)));
    let tasks = TASKS.with_borrow(Clone::clone);
    drop(runtime);
    (network, tasks)
}

async fn finished(member: &Member, batch: BatchId) {
    let finished = async {
        loop {
            if let Ok(Some(live)) = member.engine.open(batch).await {
                return live.wait_until(|quilt| quilt.status() == Status::Finished).await;
            }
        }
    };
    timeout(TOO_LONG, finished).await.expect("every batch comes to its finish line");
}

/// Each square is settled once, and there is one finish line.
fn check(network: &Network, batch: BatchId) -> Quilt {
    let events = network.journal.events(batch);
    let Some(Event::Launched(launched)) = events.first() else { panic!("it starts with a launch") };
    let mut quilt = Quilt::new(launched.clone());
    let mut changes = Vec::new();
    for event in &events {
        quilt.apply(event, &mut changes);
    }
    let settled = changes.iter().filter(|change| matches!(change, Change::Settled(_))).count();
    assert_eq!(settled as u32, quilt.progress().tasks);
    assert_eq!(changes.iter().filter(|change| **change == Change::Finished).count(), 1);
    quilt
}

/// The tasks that were started more than once.
fn more_than_once(tasks: &BTreeMap<(u64, u32), Runs>) -> BTreeMap<(u64, u32), Runs> {
    tasks.iter().filter(|(_, runs)| runs.started > 1).map(|(task, runs)| (*task, *runs)).collect()
}

fn seeds(usual: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    match number("SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIMULATION_RUNS").map_or(usual, |runs| runs / 10),
    }
}

/// Launches a batch on each member in turn.
async fn launch(members: &[Member], side: u16) {
    launch_all(members, "timed", side).await;
}

async fn launch_all(members: &[Member], work: &str, side: u16) {
    for number in 0..BATCHES {
        let member = &members[usize::from(number) % members.len()];
        let spec = spec(work, side, number.into());
        while member.engine.launch(id(number), owner(number), spec.clone(), None).await.is_err() {
            sleep(Duration::from_millis(100)).await;
        }
    }
}

#[test]
fn where_nothing_goes_wrong_each_task_is_started_once() {
    for seed in seeds(10) {
        let (network, tasks) = in_world(seed, 0.0, async |network| {
            let members = [join(&network, 0).await, join(&network, 5).await, join(&network, 7).await];
            launch(&members, 10).await;
            for number in 0..BATCHES {
                finished(&members[0], id(number)).await;
            }
        });
        for number in 0..BATCHES {
            assert_eq!(check(&network, id(number)).progress().done, 100);
        }
        assert_eq!(tasks.len(), 100 * usize::from(BATCHES));
        assert_eq!(more_than_once(&tasks), BTreeMap::new(), "seed {seed}");
    }
}

#[test]
fn nodes_that_end_and_are_replaced_run_nothing_twice() {
    for seed in seeds(10) {
        let (network, tasks) = in_world(seed, 0.0, async |network| {
            let mut members = vec![join(&network, 4).await, join(&network, 4).await, join(&network, 4).await];
            launch(&members, 10).await;
            for _ in 0..4 {
                sleep(Duration::from_millis(network.random(|random| random.random_range(300..1_500)))).await;
                let leaving = members.remove(network.random(|random| random.random_range(0..members.len())));
                members.push(join(&network, 4).await);
                // Its tasks may end.
                leaving.engine.shutdown(Duration::from_secs(60)).await;
            }
            for number in 0..BATCHES {
                finished(&members[0], id(number)).await;
            }
        });
        for number in 0..BATCHES {
            check(&network, id(number));
        }
        assert_eq!(more_than_once(&tasks), BTreeMap::new(), "seed {seed}");
    }
}

#[test]
fn long_tasks_outlive_their_coordinators_and_are_started_once() {
    for seed in seeds(10) {
        let (network, tasks) = in_world(seed, 0.0, async |network| {
            let mut members = vec![join(&network, 6).await, join(&network, 6).await, join(&network, 6).await];
            launch_all(&members, "mixed", 12).await;
            for _ in 0..4 {
                sleep(Duration::from_secs(network.random(|random| random.random_range(5..40)))).await;
                let leaving = members.remove(network.random(|random| random.random_range(0..members.len())));
                members.push(join(&network, 6).await);
                // The longest task may end.
                leaving.engine.shutdown(Duration::from_secs(100)).await;
            }
            for number in 0..BATCHES {
                finished(&members[0], id(number)).await;
            }
        });
        for number in 0..BATCHES {
            assert_eq!(check(&network, id(number)).progress().done, 144, "seed {seed}");
        }
        assert_eq!(more_than_once(&tasks), BTreeMap::new(), "seed {seed}");
    }
}

#[test]
fn an_outage_of_everything_is_no_loss_of_anybody() {
    for seed in seeds(10) {
        let (network, tasks) = in_world(seed, 0.0, async |network| {
            let members = [join(&network, 0).await, join(&network, 4).await, join(&network, 4).await];
            launch(&members, 8).await;
            for _ in 0..3 {
                sleep(Duration::from_millis(network.random(|random| random.random_range(100..1_500)))).await;
                members.iter().for_each(|member| network.cut_off(member.endpoint.id(), true));
                sleep(Duration::from_secs(network.random(|random| random.random_range(1..60)))).await;
                members.iter().for_each(|member| network.cut_off(member.endpoint.id(), false));
            }
            for number in 0..BATCHES {
                finished(&members[0], id(number)).await;
            }
        });
        for number in 0..BATCHES {
            check(&network, id(number));
        }
        assert_eq!(more_than_once(&tasks), BTreeMap::new(), "seed {seed}");
    }
}

#[test]
fn every_square_is_settled_once_whoever_is_cut_off_or_lost() {
    for seed in seeds(30) {
        let loss = [0.0, 0.02, 0.1][(seed % 3) as usize];
        let (network, tasks) = in_world(seed, loss, async |network| {
            let mut members = vec![join(&network, 4).await, join(&network, 4).await, join(&network, 0).await];
            launch(&members, 10).await;
            for _ in 0..6 {
                sleep(Duration::from_millis(network.random(|random| random.random_range(50..20_000)))).await;
                let place = network.random(|random| random.random_range(0..members.len()));
                let node = members[place].endpoint.id();
                match network.random(|random| random.random_range(0..4)) {
                    // A partition that ends.
                    0 | 1 => {
                        network.cut_off(node, true);
                        let (network, secs) =
                            (Arc::clone(&network), network.random(|random| random.random_range(1..40)));
                        tokio::spawn(async move {
                            sleep(Duration::from_secs(secs)).await;
                            network.cut_off(node, false);
                        });
                    }
                    // One that does not end, and another node.
                    2 => {
                        network.cut_off(node, true);
                        members[place] = join(&network, 4).await;
                    }
                    // A node that ends in an orderly way, at once.
                    _ => {
                        let fresh = join(&network, 4).await;
                        let leaving = std::mem::replace(&mut members[place], fresh);
                        tokio::spawn(async move { leaving.engine.shutdown(Duration::ZERO).await });
                    }
                }
            }
            let survivor = join(&network, 4).await;
            network.set_loss(0.0);
            for number in 0..BATCHES {
                finished(&survivor, id(number)).await;
            }
        });
        for number in 0..BATCHES {
            assert_eq!(check(&network, id(number)).progress().done, 100, "seed {seed}");
        }
        // Six faults, each of which may cost what ran on the node at that moment, and what a cut-off node still started.
        let starts: u32 = tasks.values().map(|runs| runs.started).sum();
        assert!(starts <= 400 + 6 * 80, "seed {seed}: {starts} starts of 400 tasks");
    }
}

#[test]
fn a_task_that_takes_its_nodes_with_it_fails_alone() {
    let (network, _) = in_world(1, 0.0, async |network| {
        let coordinator = join(&network, 0).await;
        coordinator.engine.launch(id(1), owner(1), spec("poison", 8, 1), None).await.expect("accepted");
        let dying = async {
            loop {
                let worker = join(&network, 3).await;
                let lost = async {
                    while !network.is_cut_off(worker.endpoint.id()) {
                        sleep(Duration::from_millis(10)).await;
                    }
                };
                lost.await;
            }
        };
        tokio::select! {
            () = dying => {}
            () = finished(&coordinator, id(1)) => {}
        }
    });
    let quilt = check(&network, id(1));
    assert_eq!((quilt.progress().done, quilt.progress().failed), (63, 1));
    assert_eq!(quilt.square(POISON), SquareState::Failed("workers were lost"));
}

#[test]
fn a_limit_of_one_holds_while_coordinators_change_and_drains_end() {
    for seed in seeds(10) {
        let (network, tasks) = in_world(seed, 0.0, async |network| {
            let mut members = vec![join(&network, 4).await, join(&network, 4).await, join(&network, 4).await];
            let limited = BatchSpec { concurrency: Some(1), ..spec("timed", 6, 0) };
            members[0].engine.launch(id(0), owner(0), limited, None).await.expect("accepted");
            let lap = LapId { batch: id(0), lap: 1 };
            let watching = tokio::spawn(async {
                loop {
                    let running: u32 = TASKS.with_borrow(|tasks| tasks.values().map(|runs| runs.running).sum());
                    assert!(running <= 1, "{running} run");
                    sleep(Duration::from_millis(1)).await;
                }
            });
            for _ in 0..3 {
                sleep(Duration::from_millis(network.random(|random| random.random_range(100..900)))).await;
                let coordinator = network.coordinator(lap);
                let Some(place) = members.iter().position(|member| Some(member.endpoint.id()) == coordinator) else {
                    continue;
                };
                let leaving = members.remove(place);
                members.push(join(&network, 4).await);
                leaving.engine.shutdown(Duration::from_secs(60)).await;
            }
            finished(&members[0], id(0)).await;
            assert!(!watching.is_finished(), "the limit held");
        });
        check(&network, id(0));
        assert_eq!(more_than_once(&tasks), BTreeMap::new(), "seed {seed}");
    }
}

#[test]
fn a_batch_is_paused_continued_and_drained_from_any_node() {
    for seed in seeds(10) {
        let (network, _) = in_world(seed, 0.02, async |network| {
            let members = [join(&network, 0).await, join(&network, 3).await, join(&network, 3).await];
            members[0].engine.launch(id(0), owner(0), spec("timed", 8, 0), None).await.expect("accepted");
            for Member { engine, .. } in &members {
                // A node may not have folded yet that the batch goes on.
                let is_paused = async || {
                    let paused = engine.control(id(0), owner(0), Control::Pause).await;
                    paused.is_ok_and(|batch| matches!(batch.status, Status::Paused | Status::Finished))
                };
                while !is_paused().await {
                    sleep(Duration::from_millis(10)).await;
                }
                sleep(Duration::from_secs(3)).await;
                let started = || TASKS.with_borrow(|tasks| tasks.values().map(|runs| runs.started).sum::<u32>());
                let before = started();
                sleep(Duration::from_secs(30)).await;
                assert_eq!(started(), before, "a paused batch starts nothing");
                while engine.control(id(0), owner(0), Control::Resume).await.is_err() {}
                sleep(Duration::from_millis(300)).await;
                while engine.cancel(id(0), owner(0), Halt::Soon).await.is_err() {}
                let batch = engine.open(id(0)).await.expect("it answers").expect("it is there");
                let over = batch.wait_until(|quilt| quilt.status().is_over());
                timeout(TOO_LONG, over).await.expect("it drains");
                let running: u32 = TASKS.with_borrow(|tasks| tasks.values().map(|runs| runs.running).sum());
                assert_eq!(running, 0, "what ran has ended");
                while batch.folded().quilt.status() == Status::Cancelled
                    && engine.continue_stopped(id(0), owner(0)).await.is_err()
                {}
            }
            finished(&members[0], id(0)).await;
        });
        let events = network.journal.events(id(0));
        assert!(matches!(events.first(), Some(Event::Launched(_))), "seed {seed}");
    }
}

#[test]
fn work_goes_where_it_can_run_and_waits_where_no_node_knows_it() {
    let (network, tasks) = in_world(1, 0.0, async |network| {
        let special = || Registry::default().with_work("special", || Work::waiting(Timed));
        // It accepts the batch and runs nothing.
        let web = join_with(&network, 0, special()).await;
        let ordinary = join(&network, 4).await;
        web.engine.launch(id(1), owner(1), spec("special", 6, 1), None).await.expect("accepted");
        sleep(Duration::from_secs(30)).await;
        for member in [&web, &ordinary] {
            let why = member.engine.why(id(1), Index(0)).await.expect("it answers");
            assert_eq!(why, Some(Waiting::Unable));
        }
        // Others are not held up by it.
        web.engine.launch(id(2), owner(1), spec("timed", 6, 2), None).await.expect("accepted");
        finished(&web, id(2)).await;
        let _able = join_with(&network, 4, special()).await;
        finished(&web, id(1)).await;
    });
    for number in [1, 2] {
        assert_eq!(check(&network, id(number)).progress().done, 36);
    }
    assert_eq!(more_than_once(&tasks), BTreeMap::new());
}
