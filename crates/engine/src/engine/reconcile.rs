//! Finds uncoordinated laps, and lost squares of this node's laps.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use quilt::BatchId;
use tokio::time::sleep;

use super::laps::{RENEW_INTERVAL, Start};
use super::running::Share;
use super::shared::Engine;
use crate::dispatch::LapId;
use crate::journal::{JournalError, OpenBatch};

impl Engine {
    /// Periodically adopts uncoordinated laps, and requeues the lost squares of this node's laps.
    pub(super) async fn reconcile_laps(&self, mut left_alone: HashSet<BatchId>) {
        let mut exhausted = HashSet::new();
        loop {
            sleep(RENEW_INTERVAL).await;
            self.shared.batches.forget_unused();
            self.shared.results.forget_unused();
            if let Err(error) = self.adopt_laps(&mut left_alone).await {
                tracing::warn!(%error, "cannot look for unfinished batches; trying again");
            }
            exhausted = self.requeue_lost(&exhausted);
        }
    }

    /// Requeues laps that were exhausted in the previous round as well and have not ended: their events did not arrive. Returns the laps
    /// that are exhausted now.
    fn requeue_lost(&self, before: &HashSet<LapId>) -> HashSet<LapId> {
        let scheduler = &self.shared.scheduler;
        let laps: Vec<LapId> = self.running().here.keys().copied().collect();
        let (lost, exhausted): (Vec<LapId>, Vec<LapId>) =
            laps.into_iter().filter(|lap| scheduler.is_exhausted(*lap)).partition(|lap| before.contains(lap));
        for lap in lost {
            tracing::error!(batch = %lap.batch, lap = lap.lap, "squares are pending that nobody runs; handing them out again");
            scheduler.requeue_lost(lap);
        }
        exhausted.into_iter().collect()
    }

    /// Adopts every unfinished lap that no other node coordinates. Damaged batches are logged once and then skipped.
    pub(super) async fn adopt_laps(&self, left_alone: &mut HashSet<BatchId>) -> Result<(), JournalError> {
        let unfinished = self.shared.journal.unfinished().await?;
        let mut elsewhere: HashMap<LapId, Share> = unfinished
            .into_iter()
            .map(|OpenBatch { batch, owner, lap, squares }| (LapId { batch, lap }, Share::new(owner, squares)))
            .collect();
        {
            let running = self.running();
            elsewhere.retain(|lap, _| !running.here.contains_key(lap) && !running.ending.contains(lap));
        }
        let mut laps: Vec<LapId> = elsewhere.keys().copied().filter(|lap| !left_alone.contains(&lap.batch)).collect();
        // The iteration order of a map differs between processes.
        laps.sort_unstable();
        if let Some(nodes) = &self.shared.cluster {
            laps = nodes.cluster.coordination.uncoordinated(laps).await?;
        }
        for lap in laps {
            let Some(share) = elsewhere.get(&lap).copied() else { continue };
            // Accepted laps run regardless of the current limits. A concurrent launch of the same batch finds the lap counted.
            match self.running().here.entry(lap) {
                Entry::Occupied(_) => continue,
                Entry::Vacant(vacant) => vacant.insert(share),
            };
            let epoch = match self.acquire_or_renew(lap).await {
                Ok(Some(epoch)) => epoch,
                Ok(None) => {
                    self.uncount(lap);
                    continue;
                }
                Err(error) => {
                    self.uncount(lap);
                    return Err(error);
                }
            };
            match self.open(lap.batch).await {
                Ok(Some(batch)) => {
                    tracing::info!(batch = %lap.batch, lap = lap.lap, "continuing it");
                    elsewhere.remove(&lap);
                    self.coordinate(lap, Start { epoch, positions: None, batch: Some(batch), is_adopted: true });
                }
                // The launch is in progress, or has failed.
                Ok(None) => self.give_up(lap).await,
                Err(JournalError::Unavailable(reason) | JournalError::Refused(reason)) => {
                    tracing::warn!(batch = %lap.batch, reason, "cannot continue it yet");
                    self.give_up(lap).await;
                }
                // Another node may be able to read it, for example one with a later version.
                Err(error) => {
                    tracing::error!(batch = %lap.batch, %error, "cannot continue it; it is left to other nodes");
                    self.give_up(lap).await;
                    left_alone.insert(lap.batch);
                }
            }
        }
        self.running().elsewhere = elsewhere.into_values().collect();
        Ok(())
    }
}
