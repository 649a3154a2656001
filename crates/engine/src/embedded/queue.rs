//! The queue in memory.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::colleagues::Announcement;
use crate::journal::JournalError;
use crate::queue::{CLAIM_TIME, Claim, ClaimId, LapId, Lease, Queue};

/// A [`Queue`] of this process.
#[derive(Default)]
pub struct MemoryQueue {
    leases: Mutex<Leases>,
    /// Wakes one of those who wait, to look at the leases anew.
    changed: Notify,
}

/// When something happens; the number keeps moments apart.
type Moment = (Instant, u64);

/// A lease that somebody holds.
struct Claimed {
    lapse: Moment,
    lease: Lease,
}

#[derive(Default)]
struct Leases {
    ready: VecDeque<Lease>,
    delayed: BTreeMap<Moment, Lease>,
    claims: HashMap<ClaimId, Claimed>,
    lapses: BTreeMap<Moment, ClaimId>,
    counter: u64,
}

impl Leases {
    fn moment(&mut self, delay: Duration) -> Moment {
        self.counter += 1;
        (Instant::now() + delay, self.counter)
    }

    /// Moves what is due to the end of the queue.
    fn promote(&mut self, now: Instant) {
        while let Some(delayed) = self.delayed.first_entry().filter(|entry| entry.key().0 <= now) {
            self.ready.push_back(delayed.remove());
        }
        while let Some(lapse) = self.lapses.first_entry().filter(|entry| entry.key().0 <= now) {
            if let Some(Claimed { mut lease, .. }) = self.claims.remove(&lapse.remove()) {
                tracing::warn!(batch = %lease.batch, "a lease lapsed: its holder has not been heard of");
                lease.losses += 1;
                self.ready.push_back(lease);
            }
        }
    }

    fn claim(&mut self) -> Option<Claim> {
        let lease = self.ready.pop_front()?;
        let lapse = self.moment(CLAIM_TIME);
        let id = ClaimId(lapse.1);
        self.lapses.insert(lapse, id);
        self.claims.insert(id, Claimed { lapse, lease: lease.clone() });
        Some(Claim { id, lease })
    }

    fn next_moment(&self) -> Option<Instant> {
        let moments = [
            self.delayed.first_key_value().map(|(moment, _)| moment.0),
            self.lapses.first_key_value().map(|(moment, _)| moment.0),
        ];
        moments.into_iter().flatten().min()
    }
}

impl MemoryQueue {
    fn leases(&self) -> MutexGuard<'_, Leases> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lease if one is ready, else when to look again.
    fn try_pull(&self) -> Result<Claim, Option<Instant>> {
        let mut leases = self.leases();
        leases.promote(Instant::now());
        let claim = leases.claim().ok_or_else(|| leases.next_moment())?;
        // Whoever takes a lease no longer waits for what becomes due; somebody else has to.
        self.changed.notify_one();
        Ok(claim)
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn push(&self, lease: Lease, delay: Duration) {
        let mut leases = self.leases();
        if delay.is_zero() {
            leases.ready.push_back(lease);
        } else {
            let moment = leases.moment(delay);
            leases.delayed.insert(moment, lease);
        }
        // Also for a delayed lease: it may be due before what those who wait are waiting for.
        self.changed.notify_one();
    }

    async fn pull(&self) -> Claim {
        loop {
            match self.try_pull() {
                Ok(claim) => return claim,
                Err(None) => self.changed.notified().await,
                Err(Some(moment)) => {
                    tokio::select! {
                        biased;
                        () = self.changed.notified() => {}
                        () = sleep_until(moment) => {}
                    }
                }
            }
        }
    }

    async fn extend(&self, claim: ClaimId) {
        let mut leases = self.leases();
        let later = leases.moment(CLAIM_TIME);
        let Some(claimed) = leases.claims.get_mut(&claim) else { return };
        let earlier = std::mem::replace(&mut claimed.lapse, later);
        leases.lapses.remove(&earlier);
        leases.lapses.insert(later, claim);
    }

    async fn split(&self, claim: ClaimId, tail: Lease) {
        if let Some(claimed) = self.leases().claims.get_mut(&claim) {
            claimed.lease.positions.end = tail.positions.start;
        }
        self.push(tail, Duration::ZERO).await;
    }

    async fn finish(&self, claim: ClaimId) {
        let mut leases = self.leases();
        if let Some(Claimed { lapse, .. }) = leases.claims.remove(&claim) {
            leases.lapses.remove(&lapse);
        }
    }

    async fn is_idle(&self) -> Result<bool, JournalError> {
        let leases = self.leases();
        Ok(leases.ready.is_empty() && leases.delayed.is_empty() && leases.claims.is_empty())
    }

    async fn keep(&self, _: LapId) -> Result<bool, JournalError> {
        // There is nobody else.
        Ok(true)
    }

    async fn unkept(&self, laps: Vec<LapId>) -> Result<Vec<LapId>, JournalError> {
        Ok(laps)
    }

    async fn start(&self, _: LapId, lease: Lease) {
        // What was started before is gone with the process that did.
        self.push(lease, Duration::ZERO).await;
    }

    async fn let_go(&self, _: LapId) {}

    async fn announce(&self, _: &Announcement) {}

    fn colleagues(&self) -> Vec<Announcement> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use quilt::{BatchId, Position};

    use super::*;
    use crate::journal::Mark;

    fn lease(number: u8) -> Lease {
        let positions = Position(0)..Position(1);
        Lease { batch: BatchId::from_bytes([number; 16]), lap: 1, positions, after: Mark(1), losses: 0 }
    }

    #[tokio::test(start_paused = true)]
    async fn leases_come_in_the_order_in_which_they_became_ready() {
        let queue = MemoryQueue::default();
        queue.push(lease(3), Duration::from_secs(2)).await;
        queue.push(lease(2), Duration::from_secs(1)).await;
        queue.push(lease(1), Duration::ZERO).await;
        for expected in 1..=3 {
            assert_eq!(queue.pull().await.lease, lease(expected));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_that_is_not_finished_comes_back() {
        let queue = MemoryQueue::default();
        queue.push(lease(1), Duration::ZERO).await;
        let before = Instant::now();
        queue.pull().await;
        assert_eq!(queue.pull().await.lease, Lease { losses: 1, ..lease(1) });
        assert!(before.elapsed() >= CLAIM_TIME);
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_that_is_extended_comes_back_later_and_a_finished_one_never() {
        let queue = MemoryQueue::default();
        queue.push(lease(1), Duration::ZERO).await;
        let claim = queue.pull().await.id;
        let before = Instant::now();
        tokio::time::advance(CLAIM_TIME / 2).await;
        queue.extend(claim).await;
        let again = queue.pull().await.id;
        assert!(before.elapsed() >= CLAIM_TIME + CLAIM_TIME / 2);
        queue.finish(again).await;
        // Too late for the claim that came back already, and without effect.
        queue.finish(claim).await;
        queue.extend(claim).await;
        queue.push(lease(2), CLAIM_TIME * 4).await;
        assert_eq!(queue.pull().await.lease, lease(2));
    }

    #[tokio::test(start_paused = true)]
    async fn leases_that_become_due_together_wake_all_who_wait() {
        let queue = Arc::new(MemoryQueue::default());
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let queue = Arc::clone(&queue);
                tokio::spawn(async move { queue.pull().await.lease })
            })
            .collect();
        for number in 1..=3 {
            queue.push(lease(number), Duration::from_secs(1)).await;
        }
        let mut pulled = Vec::new();
        for waiting in waiting {
            pulled.push(waiting.await.expect("no panic").batch);
        }
        pulled.sort_unstable();
        assert_eq!(pulled, [lease(1).batch, lease(2).batch, lease(3).batch]);
    }
}
