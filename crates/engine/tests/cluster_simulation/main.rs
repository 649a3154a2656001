//! Several engines in one world, on a simulated clock: nodes that are cut off, lost and replaced, messages that are late or lost, coordinators
//! that go away with leases out. A run that fails names its seed, and `SIMULATION_SEED=… cargo test --test cluster_simulation` repeats it.
//! `SIMULATION_RUNS` asks for more worlds than the usual ones.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

#[path = "../memory/mod.rs"]
mod memory;
mod network;
#[path = "../seeds/mod.rs"]
mod seeds;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use engine::Slots;
use engine::dispatch::{LapId, Waiting};
use engine::work::{Registry, Work};
use quilt::{BatchSpec, Control, Event, Halt, Index, SquareState, Status};
use rand::RngExt;
use tokio::time::{sleep, timeout};

use crate::seeds::seeds;
use crate::world::{
    BATCHES, Member, POISON, TASKS, TOO_LONG, Timed, TimedProcess, all_finished, check, finished, id, in_world, join,
    join_with, launch, more_than_once, owner, rolling_restart, spec,
};

#[test]
fn where_nothing_goes_wrong_each_task_is_started_once() {
    for seed in seeds(10) {
        let (network, tasks) = in_world(seed, 0.0, async |network| {
            let members = [join(&network, 0).await, join(&network, 5).await, join(&network, 7).await];
            launch(&members, "timed", 10).await;
            all_finished(&members[0]).await;
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
            rolling_restart(&network, ("timed", 10), 4, 300..1_500).await;
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
            rolling_restart(&network, ("mixed", 12), 6, 5_000..40_000).await;
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
            launch(&members, "timed", 8).await;
            for _ in 0..3 {
                sleep(Duration::from_millis(network.random(|random| random.random_range(100..1_500)))).await;
                members.iter().for_each(|member| network.cut_off(member.endpoint.id(), true));
                sleep(Duration::from_secs(network.random(|random| random.random_range(1..60)))).await;
                members.iter().for_each(|member| network.cut_off(member.endpoint.id(), false));
            }
            all_finished(&members[0]).await;
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
            launch(&members, "timed", 10).await;
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
            all_finished(&survivor).await;
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

/// Runs batches of some kind of work on three nodes, whose coordinators leave, and checks at every moment how many tasks run by a number that
/// their indices have.
fn no_limit_is_exceeded(work: &str, concurrency: Option<u32>, group: fn(u32) -> u32) {
    for seed in seeds(10) {
        let (network, tasks) = in_world(seed, 0.0, async |network| {
            let mut members = vec![join(&network, 4).await, join(&network, 4).await, join(&network, 4).await];
            let limited = BatchSpec { concurrency, ..spec(work, 6, 0) };
            members[0].engine.launch(id(0), owner(0), limited, None).await.expect("accepted");
            let lap = LapId { batch: id(0), lap: 1 };
            let watching = tokio::spawn(async move {
                loop {
                    let mut running: BTreeMap<u32, u32> = BTreeMap::new();
                    TASKS.with_borrow(|tasks| {
                        for ((_, index), runs) in tasks {
                            *running.entry(group(*index)).or_default() += runs.running;
                        }
                    });
                    assert!(running.values().all(|running| *running <= 1), "{running:?} run");
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
fn a_limit_of_one_holds_while_coordinators_change_and_drains_end() {
    no_limit_is_exceeded("timed", Some(1), |_| 0);
}

#[test]
fn the_limit_of_a_key_holds_on_all_nodes_together() {
    no_limit_is_exceeded("keyed", None, |index| index % 3);
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
        let web = join_with(&network, Slots::all(0), special()).await;
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
        let _able = join_with(&network, Slots::all(4), special()).await;
        finished(&web, id(1)).await;
    });
    for number in [1, 2] {
        assert_eq!(check(&network, id(number)).progress().done, 36);
    }
    assert_eq!(more_than_once(&tasks), BTreeMap::new());
}

/// A batch in slots for processes, coordinated by a node that does not know its work. `with_teacher`: another one knows it, and has no such
/// slots.
fn unknown_work_runs_in_its_slots(with_teacher: bool) {
    let (network, tasks) = in_world(1, 0.0, async |network| {
        let special = || Registry::default().with_work("special", || Work::waiting(TimedProcess));
        let web = join_with(&network, Slots::all(0), special()).await;
        let ordinary = join(&network, 4).await;
        web.engine.launch(id(1), owner(1), spec("special", 6, 1), None).await.expect("accepted");
        web.engine.shutdown(Duration::from_secs(1)).await;
        drop(web);
        let slots = Slots { process: 0, ..Slots::all(4) };
        let teacher = if with_teacher { Some(join_with(&network, slots, special()).await) } else { None };
        let unable = async {
            // The ordinary node has slots of that class, and cannot run it.
            let why = async || ordinary.engine.why(id(1), Index(0)).await.expect("it answers");
            while why().await != Some(Waiting::Unable) {
                sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(TOO_LONG, unable).await.expect("nobody can run it yet");
        let able = join_with(&network, Slots { process: 2, ..Slots::all(0) }, special()).await;
        finished(&able, id(1)).await;
        drop((ordinary, teacher));
    });
    assert_eq!(check(&network, id(1)).progress().done, 36);
    assert_eq!(more_than_once(&tasks), BTreeMap::new());
}

#[test]
fn a_coordinator_that_does_not_know_a_batchs_work_learns_which_slots_it_needs() {
    unknown_work_runs_in_its_slots(true);
}

#[test]
fn work_that_its_coordinator_does_not_know_runs_where_there_are_slots_of_its_class_alone() {
    unknown_work_runs_in_its_slots(false);
}
