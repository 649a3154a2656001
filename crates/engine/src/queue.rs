//! The seam for leases: what is to be run, by whoever comes first.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use quilt::{BatchId, Position};

use crate::colleagues::Announcement;
use crate::journal::{JournalError, Mark};

/// A lap of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LapId {
    /// The batch.
    pub batch: BatchId,
    /// The number of the lap, from 1.
    pub lap: u32,
}

/// A range of positions of one batch's order that are to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The batch.
    pub batch: BatchId,
    /// The lap for which they are run.
    pub lap: u32,
    /// The positions; those with an outcome are passed over.
    pub positions: Range<Position>,
    /// What whoever runs it has to have folded: the outcomes and the failed tries that came before.
    pub after: Mark,
    /// How often it came back because its holder was not heard of.
    pub losses: u32,
}

impl Lease {
    /// How many positions there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.positions.end.0.saturating_sub(self.positions.start.0)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Cuts off all but the first `stride` positions, and returns them.
    pub fn split_off(&mut self, stride: u32) -> Option<Self> {
        self.split_at(Position(self.positions.start.0.saturating_add(stride.max(1))))
    }

    /// Cuts off the positions from `cut` on, and returns them.
    pub fn split_at(&mut self, cut: Position) -> Option<Self> {
        (cut < self.positions.end).then(|| {
            let tail = Self { positions: cut..self.positions.end, losses: 0, ..self.clone() };
            self.positions.end = cut;
            tail
        })
    }
}

/// Names a pulled lease towards the queue that gave it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClaimId(pub u64);

/// A lease that was pulled. It comes back to the queue [`CLAIM_TIME`] after it was pulled or last extended,
/// unless it was finished before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// For the queue.
    pub id: ClaimId,
    /// What is to be run.
    pub lease: Lease,
}

/// How long a claim, or the keeping of a lap, lives without being extended.
pub const CLAIM_TIME: Duration = Duration::from_secs(15);

/// How often nodes tell of themselves.
pub const ANNOUNCE: Duration = Duration::from_millis(500);

/// How often whoever holds something extends it.
pub(crate) const BEAT: Duration = Duration::from_secs(CLAIM_TIME.as_secs() / 3);

/// Leases in the order in which they are to be run, and who sees to the laps that they belong to. While whatever keeps them is not
/// available, calls about leases wait, because what has been run is not to be lost; those about laps are answered.
#[async_trait]
pub trait Queue: Send + Sync + 'static {
    /// Puts a lease at the end, after a delay.
    async fn push(&self, lease: Lease, delay: Duration);

    /// Waits for the lease at the front and takes it. Whoever stops waiting may leave one claimed, which comes back.
    async fn pull(&self) -> Claim;

    /// Puts off the time at which a claim comes back.
    async fn extend(&self, claim: ClaimId);

    /// Puts the tail of a claimed lease at the end. If the claim comes back, it is without the tail.
    async fn split(&self, claim: ClaimId, tail: Lease);

    /// Lets go of a claim for good.
    async fn finish(&self, claim: ClaimId);

    /// Whether no lease waits, is put off or is claimed.
    async fn is_idle(&self) -> Result<bool, JournalError>;

    /// Makes this node the keeper of a lap for the next [`CLAIM_TIME`], unless another one is: of all nodes, one sees a lap to its end.
    async fn keep(&self, lap: LapId) -> Result<bool, JournalError>;

    /// Those of some laps that no other node keeps.
    async fn unkept(&self, laps: Vec<LapId>) -> Result<Vec<LapId>, JournalError>;

    /// Puts the lease of a whole lap at the end, unless that was done before, by whatever node.
    async fn start(&self, lap: LapId, lease: Lease);

    /// This node keeps the lap no longer: it is over, or has come to nothing.
    async fn let_go(&self, lap: LapId);

    /// Tells the other nodes that this one is there, and what it does. To be said again every [`ANNOUNCE`]: who is silent for long is lost.
    async fn announce(&self, announcement: &Announcement);

    /// What the other nodes said last.
    fn colleagues(&self) -> Vec<Announcement>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(start: u32, end: u32) -> Lease {
        let positions = Position(start)..Position(end);
        Lease { batch: BatchId::from_bytes([7; 16]), lap: 1, positions, after: Mark(1), losses: 0 }
    }

    #[test]
    fn a_split_lease_keeps_its_head_and_gives_its_tail() {
        let mut head = lease(10, 30);
        assert_eq!(head.split_off(5), Some(lease(15, 30)));
        assert_eq!(head, lease(10, 15));
    }

    #[test]
    fn a_lease_within_the_stride_stays_whole() {
        let mut head = lease(10, 15);
        assert_eq!(head.split_off(5), None);
        assert_eq!(head.split_off(u32::MAX), None);
        assert_eq!(head, lease(10, 15));
    }
}
