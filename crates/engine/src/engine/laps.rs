//! The laps that run: counted against the limits, put on the queue, and seen to their ends.
//!
//! Of all nodes one keeps a lap: it waits for its end, stops it at its deadline, and notes how it ended. If it is not heard of any more,
//! another node takes over, as this one does at its start with what was left unfinished.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use quilt::{BatchId, CancelCause, Event, Position, Quilt, Receipt, Status, Summary};
use tokio::time::{sleep, timeout};

use super::error::TooManyRunning;
use super::running::Share;
use super::shared::Engine;
use crate::journal::{JournalError, Unfinished, until_available};
use crate::live::LiveBatch;
use crate::queue::{ANNOUNCE, BEAT, LapId, Lease};

/// How often in a row the queue has to be found without any lease before a lap that runs is started again: longer than a node needs to notice
/// that it has not heard of its end.
const IDLE_LOOKS: u32 = 4;

/// How long a lap that was announced may take to start, before it is taken for given up by whoever announced it.
const START_TIME: Duration = Duration::from_secs(60);

impl Engine {
    /// Counts a lap among the running ones. `false` if it is one of them already.
    pub(super) fn claim(&self, lap: LapId, share: Share) -> Result<bool, TooManyRunning> {
        let settings = &self.shared.settings;
        let mut running = self.running();
        let of_owner = running.all().filter(|other| other.owner == share.owner).count();
        let squares: u64 = running.all().map(|other| other.squares).sum();
        match running.here.entry(lap) {
            Entry::Occupied(_) => Ok(false),
            Entry::Vacant(_) if of_owner >= settings.running_per_owner as usize => {
                Err(TooManyRunning::OfOwner { limit: settings.running_per_owner })
            }
            Entry::Vacant(_) if squares + share.squares > settings.running_squares => {
                Err(TooManyRunning::Squares { limit: settings.running_squares })
            }
            Entry::Vacant(vacant) => {
                vacant.insert(share);
                Ok(true)
            }
        }
    }

    /// Counts a lap among the running ones and makes this node its keeper. `false` if it is one of them already, or another node is.
    pub(super) async fn claim_and_keep<E>(&self, lap: LapId, share: Share) -> Result<bool, E>
    where
        E: From<TooManyRunning> + From<JournalError>,
    {
        if !self.claim(lap, share)? {
            return Ok(false);
        }
        let is_kept = self.shared.queue.keep(lap).await;
        if !matches!(is_kept, Ok(true)) {
            self.release(lap);
        }
        Ok(is_kept?)
    }

    pub(super) fn release(&self, lap: LapId) {
        self.running().here.remove(&lap);
    }

    /// Lets go of a lap that was claimed and has come to nothing.
    pub(super) async fn give_up(&self, lap: LapId) {
        self.shared.queue.let_go(lap).await;
        self.release(lap);
    }

    /// Looks after the laps that nobody keeps, and after those whose leases are lost, again and again.
    pub(super) async fn look_after_laps(&self, mut left_alone: HashSet<BatchId>) {
        let mut idle_looks: HashMap<LapId, u32> = HashMap::new();
        loop {
            sleep(BEAT).await;
            self.shared.batches.forget_unused();
            let looked = async {
                self.take_over(&mut left_alone).await?;
                self.shared.queue.is_idle().await
            };
            match looked.await {
                Ok(true) => {
                    let running = self.running();
                    idle_looks.retain(|lap, _| running.here.contains_key(lap));
                    running.here.keys().for_each(|lap| *idle_looks.entry(*lap).or_default() += 1);
                }
                Ok(false) => idle_looks.clear(),
                Err(error) => {
                    idle_looks.clear();
                    tracing::warn!(%error, "cannot look after unfinished batches; trying again");
                }
            }
            let lost = idle_looks.extract_if(|_, looks| *looks >= IDLE_LOOKS).map(|(lap, _)| lap).collect();
            self.start_again(lost).await;
        }
    }

    /// Goes on with every lap that is neither over nor kept by another node. Those that are damaged are told once, and left alone.
    pub(super) async fn take_over(&self, left_alone: &mut HashSet<BatchId>) -> Result<(), JournalError> {
        let unfinished = self.shared.journal.unfinished().await?;
        let mut elsewhere: HashMap<LapId, Share> = unfinished
            .into_iter()
            .map(|Unfinished { batch, owner, lap, squares }| (LapId { batch, lap }, Share::new(owner, squares)))
            .collect();
        {
            let running = self.running();
            elsewhere.retain(|lap, _| !running.here.contains_key(lap) && !running.ending.contains(lap));
        }
        let mut laps: Vec<LapId> = elsewhere.keys().copied().filter(|lap| !left_alone.contains(&lap.batch)).collect();
        // The order of a map is another one in each process.
        laps.sort_unstable();
        for lap in self.shared.queue.unkept(laps).await? {
            let Some(share) = elsewhere.get(&lap).copied() else { continue };
            if !self.shared.queue.keep(lap).await? {
                continue;
            }
            match self.open(lap.batch).await {
                Ok(Some(live)) => {
                    tracing::info!(batch = %lap.batch, lap = lap.lap, "going on with it");
                    // What was accepted is run, whatever the limits are now.
                    self.running().here.insert(lap, share);
                    elsewhere.remove(&lap);
                    self.keep_lap(lap, Some(live), false);
                }
                // Its launch is under way, or has failed.
                Ok(None) => self.shared.queue.let_go(lap).await,
                Err(JournalError::Unavailable(reason)) => {
                    tracing::warn!(batch = %lap.batch, reason, "cannot go on with it yet");
                    self.shared.queue.let_go(lap).await;
                }
                // Another node may be able to read it, of a later version for instance.
                Err(error) => {
                    tracing::error!(batch = %lap.batch, %error, "cannot go on with it; it is left to other nodes");
                    self.shared.queue.let_go(lap).await;
                    left_alone.insert(lap.batch);
                }
            }
        }
        self.running().elsewhere = elsewhere.into_values().collect();
        Ok(())
    }

    /// Puts laps that this node keeps on the queue once more. For when there has been no lease at all for a while, and they are not over: whoever
    /// had theirs has let go of them without a reason.
    async fn start_again(&self, laps: Vec<LapId>) {
        for lap in laps {
            let Ok(Some(batch)) = self.open(lap.batch).await else { continue };
            let is_open = {
                let quilt = &batch.folded().quilt;
                quilt.lap_number() == lap.lap && !quilt.status().is_over()
            };
            if is_open && matches!(self.shared.queue.is_idle().await, Ok(true)) {
                let lease = whole_lease(&batch, lap);
                tracing::error!(batch = %lap.batch, lap = lap.lap, "its leases are lost; starting it again");
                self.shared.queue.push(lease, Duration::ZERO).await;
            }
        }
    }

    /// Puts a lap that this node keeps on the queue: one lease, however many tasks there are. Workers pass over what is settled. Whoever holds
    /// the batch hands it over, so that it is not read again.
    pub(super) async fn run_lap(&self, lap: LapId, lease: Lease, batch: Option<Arc<LiveBatch>>) {
        self.shared.queue.start(lap, lease).await;
        self.keep_lap(lap, batch, true);
    }

    fn keep_lap(&self, lap: LapId, batch: Option<Arc<LiveBatch>>, is_started: bool) {
        let engine = self.clone();
        self.shared.homecomings.spawn(async move {
            engine.shared.aborting.run_until_cancelled(engine.see_home(lap, batch, is_started)).await;
        });
    }

    /// Keeps a batch in memory while a lap of it runs, stops it when its time is over, and notes in the journal how it ended.
    async fn see_home(&self, lap: LapId, batch: Option<Arc<LiveBatch>>, is_started: bool) {
        let ended = tokio::select! {
            biased;
            ended = self.wait_for_end(lap, batch, is_started) => Some(ended),
            () = self.keep_on(lap) => None,
        };
        {
            let mut running = self.running();
            running.here.remove(&lap);
            running.ending.insert(lap);
        }
        let noted = match ended {
            Some(Ok(batch)) => self.conclude(lap, &batch).await,
            Some(Err(error)) => Err(error),
            None => {
                tracing::warn!(batch = %lap.batch, lap = lap.lap, "another node has taken it over");
                Ok(())
            }
        };
        self.running().ending.remove(&lap);
        if let Err(error) = noted
            && !matches!(error, JournalError::Removed | JournalError::Closed)
        {
            tracing::error!(batch = %lap.batch, %error, "a batch is left alone");
        }
    }

    /// Keeps a lap until another node does.
    async fn keep_on(&self, lap: LapId) {
        loop {
            sleep(BEAT).await;
            if matches!(self.shared.queue.keep(lap).await, Ok(false)) {
                return;
            }
        }
    }

    async fn wait_for_end(
        &self,
        lap: LapId,
        batch: Option<Arc<LiveBatch>>,
        is_started: bool,
    ) -> Result<Arc<LiveBatch>, JournalError> {
        let batch = match batch {
            Some(batch) => batch,
            None => until_available(|| self.open(lap.batch)).await?.ok_or(JournalError::Removed)?,
        };
        // The lap may be in the journal, and not be folded yet. Or it never comes, and the one before it is over.
        if timeout(START_TIME, batch.wait_until(|quilt| quilt.lap_number() >= lap.lap)).await.is_err() {
            return Ok(batch);
        }
        if !is_started {
            let lease = whole_lease(&batch, lap);
            self.shared.queue.start(lap, lease).await;
        }
        tokio::select! {
            biased;
            () = batch.wait_until(|quilt| is_past(quilt, lap.lap)) => {}
            () = batch.removed() => return Err(JournalError::Removed),
            stopped = self.stop_at_deadline(&batch, lap) => stopped?,
            stopped = self.stop_when_drained(&batch, lap, is_started) => stopped?,
        }
        Ok(batch)
    }

    /// Stops a lap that drains once no node holds a lease of it any more.
    async fn stop_when_drained(&self, batch: &LiveBatch, lap: LapId, is_started: bool) -> Result<(), JournalError> {
        let is_draining = |quilt: &Quilt| quilt.lap_number() == lap.lap && quilt.status() == Status::Draining;
        batch.wait_until(is_draining).await;
        batch.places.wait_until_empty().await;
        if !is_started {
            // This node may have just started, and have received no announcement yet.
            sleep(ANNOUNCE * 6).await;
        }
        // Other nodes fold it a moment later, and announce as late what they still hold.
        while !self.shared.colleagues.are_alone() {
            sleep(ANNOUNCE * 3).await;
            if !self.shared.colleagues.hold_leases_of(lap.batch) {
                break;
            }
        }
        let cause = batch.folded().quilt.summary().cancelled_because.unwrap_or(CancelCause::Asked);
        self.stop_lap(batch, lap, cause).await
    }

    /// Cancels a lap when its time is over, and ends when it is. Never ends where it may take as long as it takes.
    async fn stop_at_deadline(&self, batch: &LiveBatch, LapId { batch: id, lap }: LapId) -> Result<(), JournalError> {
        let Some(deadline_ms) = batch.limits().deadline_ms else { return std::future::pending().await };
        let deadline = batch.folded().quilt.lap().started_at.plus_millis(deadline_ms.into());
        let clock = self.shared.settings.clock;
        // Asked again after each sleep: time of day can be set.
        loop {
            let left = deadline.millis_since(clock.now());
            if left == 0 {
                break;
            }
            sleep(Duration::from_millis(left)).await;
        }
        self.stop_lap(batch, LapId { batch: id, lap }, CancelCause::Deadline).await
    }

    /// Writes that a lap is stopped, and waits until that is folded.
    async fn stop_lap(
        &self,
        batch: &LiveBatch,
        LapId { batch: id, lap }: LapId,
        cause: CancelCause,
    ) -> Result<(), JournalError> {
        until_available(|| {
            let cancelled = Event::Cancelled { lap, at: self.shared.settings.clock.now(), cause };
            self.shared.journal.append(id, vec![cancelled], Vec::new())
        })
        .await?;
        batch.wait_until(|quilt| is_past(quilt, lap)).await;
        Ok(())
    }

    /// Notes how a batch ended, and the receipts of its laps.
    async fn conclude(&self, lap: LapId, batch: &LiveBatch) -> Result<(), JournalError> {
        let Some((summary, receipts)) = conclusion(batch) else { return Ok(()) };
        let progress = summary.progress;
        tracing::info!(batch = %batch.id(), lap = summary.lap, status = summary.status.as_str(), progress.done, progress.failed, "a lap is over");
        batch.panics.report();
        let note = || self.shared.journal.conclude(batch.id(), lap.lap, summary.clone(), receipts.clone());
        until_available(note).await?;
        self.shared.queue.let_go(lap).await;
        Ok(())
    }
}

/// The lease of all tasks of a batch, for whoever has folded what this node has.
fn whole_lease(batch: &LiveBatch, LapId { batch: id, lap }: LapId) -> Lease {
    let folded = batch.folded();
    let positions = Position(0)..Position(folded.quilt.progress().tasks);
    Lease { batch: id, lap, positions, after: folded.mark, losses: 0 }
}

/// How a batch ended, and the receipts of its laps. One that goes on has no end to note.
pub(super) fn conclusion(batch: &LiveBatch) -> Option<(Summary, Vec<Receipt>)> {
    let folded = batch.folded();
    folded.quilt.status().is_over().then(|| (folded.quilt.summary(), folded.stats.receipts().to_vec()))
}

/// Whether a lap that has started is over.
pub(super) fn is_past(quilt: &Quilt, lap: u32) -> bool {
    quilt.lap_number() > lap || quilt.status().is_over()
}
