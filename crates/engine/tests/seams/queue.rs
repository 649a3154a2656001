//! The seam for leases.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use engine::journal::Mark;
use engine::queue::{CLAIM_TIME, Claim, LapId, Lease};
use futures::future::join_all;
use quilt::Position;

use crate::{PATIENCE, Side, id, until_idle};

crate::on_all_sides!(
    leases_come_in_their_order_and_once,
    a_delayed_lease_comes_when_it_is_due,
    a_claim_that_is_not_extended_comes_back_without_the_tail_that_was_cut_off,
    everybody_who_waits_gets_one,
    a_lap_that_is_kept_is_started_and_ends,
);

fn lease(first: u32, end: u32) -> Lease {
    Lease { batch: id(1), lap: 1, positions: Position(first)..Position(end), after: Mark(3), losses: 0 }
}

async fn pull(side: &Side) -> Claim {
    tokio::time::timeout(PATIENCE, side.queue.pull()).await.expect("there is one")
}

async fn leases_come_in_their_order_and_once(side: &Side) {
    for number in 0..20 {
        side.queue.push(lease(number, number + 1), Duration::ZERO).await;
    }
    for number in 0..20 {
        let claim = pull(side).await;
        assert_eq!(claim.lease, lease(number, number + 1));
        side.queue.finish(claim.id).await;
    }
    until_idle(&*side.queue).await;
}

async fn a_delayed_lease_comes_when_it_is_due(side: &Side) {
    // A node may have to listen before its first one.
    side.queue.push(lease(2, 3), Duration::ZERO).await;
    side.queue.finish(pull(side).await.id).await;
    let mut delay = Duration::from_millis(700);
    loop {
        let started = Instant::now();
        side.queue.push(lease(1, 2), delay).await;
        side.queue.push(lease(0, 1), Duration::ZERO).await;
        let first = pull(side).await;
        // Where this took so long that both were due, it says nothing of their order.
        let is_before = started.elapsed() < delay;
        let second = pull(side).await;
        let (at_once, delayed) = if first.lease == lease(0, 1) { (&first, &second) } else { (&second, &first) };
        assert_eq!((&at_once.lease, &delayed.lease), (&lease(0, 1), &lease(1, 2)));
        let took = started.elapsed();
        assert!(took >= delay - Duration::from_millis(50), "{took:?} and not {delay:?}");
        side.queue.finish(first.id).await;
        side.queue.finish(second.id).await;
        if is_before {
            assert_eq!(first.lease, lease(0, 1));
            return;
        }
        delay *= 2;
    }
}

async fn a_claim_that_is_not_extended_comes_back_without_the_tail_that_was_cut_off(side: &Side) {
    let started = Instant::now();
    side.queue.push(lease(0, 100), Duration::ZERO).await;
    let whole = pull(side).await;
    side.queue.split(whole.id, lease(10, 100)).await;
    let tail = pull(side).await;
    assert_eq!(tail.lease, lease(10, 100));
    side.queue.split(tail.id, lease(90, 100)).await;
    let last = pull(side).await;
    side.queue.finish(last.id).await;
    // This one is held for longer than a claim lives.
    let renewing = async {
        while started.elapsed() < CLAIM_TIME + Duration::from_secs(3) {
            side.queue.extend(tail.id).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let (back, ()) = tokio::join!(pull(side), renewing);
    assert!(started.elapsed() >= CLAIM_TIME);
    assert_eq!(back.lease, Lease { losses: 1, ..lease(0, 10) });
    side.queue.finish(back.id).await;
    let more = tokio::time::timeout(Duration::from_millis(300), side.queue.pull());
    assert!(more.await.is_err(), "what is extended stays where it is");
    side.queue.finish(tail.id).await;
}

async fn everybody_who_waits_gets_one(side: &Side) {
    let waiting = join_all((0..20).map(|_| pull(side)));
    let pushing = async {
        for number in 0..20 {
            side.queue.push(lease(number, number + 1), Duration::ZERO).await;
        }
    };
    let (claims, ()) = tokio::join!(waiting, pushing);
    let pulled: BTreeSet<_> = claims.iter().map(|claim| claim.lease.positions.start).collect();
    assert_eq!(pulled.len(), 20);
}

async fn a_lap_that_is_kept_is_started_and_ends(side: &Side) {
    let lap = LapId { batch: id(1), lap: 1 };
    let keep = async || side.queue.keep(lap).await.expect("it answers");
    let is_idle = async || side.queue.is_idle().await.expect("it answers");
    assert!(keep().await && is_idle().await);
    assert_eq!(side.queue.unkept(vec![lap]).await.expect("it answers"), [lap]);
    side.queue.start(lap, lease(0, 64)).await;
    assert!(keep().await, "it is still ours");
    assert!(!is_idle().await, "it waits");
    let claim = pull(side).await;
    assert!(!is_idle().await, "it is claimed");
    assert_eq!(claim.lease, lease(0, 64));
    side.queue.finish(claim.id).await;
    side.queue.let_go(lap).await;
    assert!(keep().await, "and could be again");
    until_idle(&*side.queue).await;
}
