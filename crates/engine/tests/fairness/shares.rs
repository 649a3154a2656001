//! How groups, owners and batches share the slots.

use std::sync::Arc;
use std::time::Duration;

use engine::work::{Registry, Work};
use engine::{Clock, Engine, Launcher, Settings, SlotClass};
use quilt::{BatchSpec, Control, Index, OwnerId, Priority, ShareGroup};
use tokio::time::{Instant, sleep};

use crate::memory::MemoryJournal;
use crate::{SLOTS, Takes, finished, launch, launch_as, launch_with, spec, start, start_on, started};

#[tokio::test(start_paused = true)]
async fn owners_share_the_workers_however_many_batches_they_have() {
    let engine = start(0).await;
    for seed in 1..=4 {
        launch(&engine, 1, "short", 40, seed).await;
    }
    sleep(Duration::from_secs(10)).await;
    let before: u32 = (1..=4).map(started).sum();
    let of_other = launch(&engine, 2, "short", 20, 5).await;
    finished(&engine, of_other).await;
    let meanwhile = (1..=4).map(started).sum::<u32>() - before;
    // The newcomer is two seconds of work ahead.
    assert!((350..=420).contains(&meanwhile), "{meanwhile} beside 400");
    let each: Vec<u32> = (1..=4).map(started).collect();
    assert!(each.iter().max().expect("four") - each.iter().min().expect("four") <= SLOTS, "{each:?}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_beside_one_that_fails_and_is_retried_gets_half_of_the_workers() {
    let engine = start(0).await;
    launch(&engine, 1, "failing", 200, 1).await;
    for round in 0..3 {
        sleep(Duration::from_secs(10)).await;
        let before = Instant::now();
        let small = launch(&engine, 2, "short", 8, 10 + round).await;
        finished(&engine, small).await;
        // 64 tasks of 100 ms on four of eight workers.
        assert!(before.elapsed() <= Duration::from_millis(2_000), "round {round}: {:?}", before.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_takes_the_slots_that_are_for_those_who_have_none() {
    let engine = start(1).await;
    let long = launch(&engine, 1, "hour", 4, 1).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(started(1), SLOTS - 1);
    assert!(engine.why(long, Index(0)).await.expect("it answers").is_some());
    for owner in 2..6 {
        let small = launch(&engine, owner, "short", 2, owner.into()).await;
        finished(&engine, small).await;
        assert_eq!(started(1), SLOTS - 1, "no hour is over");
    }
}

#[tokio::test(start_paused = true)]
async fn every_class_has_slots_of_its_own_and_keeps_some_of_them() {
    let engine = start(1).await;
    for (seed, work) in [(1, "hour"), (2, "hour-compute"), (3, "hour-process")] {
        launch(&engine, 1, work, 4, seed).await;
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!([1, 2, 3].map(started), [SLOTS - 1; 3], "each has a class to itself");
    let before = Instant::now();
    for (seed, work) in [(4, "short"), (5, "short-compute"), (6, "short-process")] {
        let small = launch(&engine, 2, work, 2, seed).await;
        finished(&engine, small).await;
    }
    // Four tasks of 100 ms each, one after the other.
    assert!(before.elapsed() < Duration::from_millis(1_300), "{:?}", before.elapsed());
    assert_eq!([1, 2, 3].map(started), [SLOTS - 1; 3], "no hour is over");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_tasks_that_wait_run_at_once() {
    let registry = Registry::default()
        .with_work("hour", || Work::waiting(Takes(Duration::from_secs(3_600), false, SlotClass::Async)));
    let journal = Arc::new(MemoryJournal::default());
    let engine = Engine::start(journal, None, registry, Settings::default()).await.expect("it starts");
    let id = launch(&engine, 1, "hour", 40, 1).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(started(1), 1_024);
    let batch = engine.open(id).await.expect("it answers").expect("it is there");
    let load = engine.load(&batch).await;
    assert_eq!((load.running(), load.slots(), load.longest.len()), (1_024, 1_024, 64), "some are named");
    assert!(load.longest.is_sorted_by_key(|running| running.started_at) && !load.is_complete());
    finished(&engine, id).await;
    assert_eq!(engine.load(&batch).await.running(), 0);
    engine.shutdown(Duration::ZERO).await;
}

/// How many tasks two batches start in a minute, launched by these owners with these priorities.
async fn starts_of_two(owners: [u8; 2], priorities: [Priority; 2]) -> [u32; 2] {
    let engine = start(0).await;
    let seeds: [u64; 2] = [101, 102];
    for ((owner, priority), seed) in owners.into_iter().zip(priorities).zip(seeds) {
        launch_with(&engine, owner, BatchSpec { priority, ..spec("short", 100, seed) }).await;
    }
    // The first chunks are cut before it is known how long a task takes.
    sleep(Duration::from_secs(5)).await;
    let before = seeds.map(started);
    sleep(Duration::from_secs(60)).await;
    engine.shutdown(Duration::from_secs(5)).await;
    let after = seeds.map(started);
    [after[0] - before[0], after[1] - before[1]]
}

#[tokio::test(start_paused = true)]
async fn a_priority_is_a_ratio_of_shares_among_batches_and_among_owners() {
    use Priority::{High, Low, Normal};
    for owners in [[1, 1], [1, 2]] {
        for (priorities, ratio) in
            [([High, Normal], 4.0), ([Normal, Low], 4.0), ([High, Low], 16.0), ([High, High], 1.0), ([Low, Low], 1.0)]
        {
            let [more, fewer] = starts_of_two(owners, priorities).await;
            let found = f64::from(more) / f64::from(fewer);
            assert!((found / ratio - 1.0).abs() < 0.1, "{owners:?} {priorities:?}: {more} and {fewer}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_owner_has_the_weight_of_the_batch_with_the_highest_priority_that_is_ready() {
    let engine = start(0).await;
    let high = launch_with(&engine, 1, BatchSpec { priority: Priority::High, ..spec("short", 100, 1) }).await;
    launch(&engine, 1, "short", 100, 2).await;
    launch(&engine, 2, "short", 100, 3).await;
    let starts = async || {
        sleep(Duration::from_secs(5)).await;
        let before = [1, 2, 3].map(started);
        sleep(Duration::from_secs(60)).await;
        let after = [1, 2, 3].map(started);
        [0, 1, 2].map(|batch| f64::from(after[batch] - before[batch]))
    };
    let is_near = |found: f64, expected: f64| (found / expected - 1.0).abs() < 0.1;
    let [first, second, other] = starts().await;
    assert!(is_near(first / second, 4.0) && is_near((first + second) / other, 4.0), "{first} {second} {other}");
    engine.control(high, OwnerId::from_bytes([1; 16]), Control::Pause).await.expect("accepted");
    let [first, second, other] = starts().await;
    assert!(first == 0.0 && is_near(second / other, 1.0), "{first} {second} {other}");
}

#[tokio::test(start_paused = true)]
async fn the_owners_of_a_group_share_what_an_owner_without_a_group_gets_also_after_a_restart() {
    let journal = Arc::<MemoryJournal>::default();
    let engine = start_on(Arc::clone(&journal), Clock::System, 0).await;
    let group = Some(ShareGroup::from_bytes([7; 16]));
    for owner in 1..=4 {
        let launcher = Launcher { owner: OwnerId::from_bytes([owner; 16]), group };
        launch_as(&engine, launcher, spec("short", 100, owner.into())).await;
    }
    launch(&engine, 5, "short", 100, 5).await;
    let shares = async || {
        sleep(Duration::from_secs(5)).await;
        let before = [1, 2, 3, 4, 5].map(started);
        sleep(Duration::from_secs(60)).await;
        let mut starts = [1, 2, 3, 4, 5].map(started);
        starts.iter_mut().zip(before).for_each(|(after, before)| *after -= before);
        starts
    };
    let is_shared = |[first, second, third, fourth, other]: [u32; 5]| {
        let of_group = [first, second, third, fourth];
        let is_near = |found: u32, expected: u32| found.abs_diff(expected) * 10 <= expected;
        is_near(of_group.iter().sum(), other) && of_group.iter().all(|starts| is_near(starts * 4, other))
    };
    let starts = shares().await;
    assert!(is_shared(starts), "{starts:?}");
    engine.shutdown(Duration::from_secs(5)).await;
    let _engine = start_on(journal, Clock::System, 0).await;
    let starts = shares().await;
    assert!(is_shared(starts), "{starts:?} after a restart");
}

#[tokio::test(start_paused = true)]
async fn reserved_slots_are_not_for_further_owners_of_a_group_that_has_slots() {
    let engine = start(1).await;
    let group = Some(ShareGroup::from_bytes([7; 16]));
    for owner in 1..=3 {
        let launcher = Launcher { owner: OwnerId::from_bytes([owner; 16]), group };
        launch_as(&engine, launcher, spec("hour", 4, owner.into())).await;
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!([1, 2, 3].map(started).iter().sum::<u32>(), SLOTS - 1);
    let small = launch(&engine, 4, "short", 2, 4).await;
    finished(&engine, small).await;
    assert_eq!([1, 2, 3].map(started).iter().sum::<u32>(), SLOTS - 1, "no hour is over");
}
