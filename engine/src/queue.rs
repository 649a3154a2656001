//! The seam for leases: what is to be run, by whoever comes first.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use quilt::{BatchId, Position};

use crate::journal::Offset;

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
    pub after: Offset,
}

impl Lease {
    /// Cuts off all but the first `stride` positions, and returns them.
    pub fn split_off(&mut self, stride: u32) -> Option<Self> {
        self.split_at(Position(self.positions.start.0.saturating_add(stride.max(1))))
    }

    /// Cuts off the positions from `cut` on, and returns them.
    pub fn split_at(&mut self, cut: Position) -> Option<Self> {
        (cut < self.positions.end).then(|| {
            let tail = Self { positions: cut..self.positions.end, ..self.clone() };
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

/// How long a claim lives without being extended.
pub const CLAIM_TIME: Duration = Duration::from_secs(15);

/// Leases in the order in which they are to be run.
#[async_trait]
pub trait Queue: Send + Sync + 'static {
    /// Puts a lease at the end, after a delay.
    async fn push(&self, lease: Lease, delay: Duration);

    /// Waits for the lease at the front and takes it.
    async fn pull(&self) -> Claim;

    /// Puts off the time at which a claim comes back.
    async fn extend(&self, claim: ClaimId);

    /// Lets go of a claim for good.
    async fn finish(&self, claim: ClaimId);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(start: u32, end: u32) -> Lease {
        let positions = Position(start)..Position(end);
        Lease { batch: BatchId::from_bytes([7; 16]), lap: 1, positions, after: Offset(1) }
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
