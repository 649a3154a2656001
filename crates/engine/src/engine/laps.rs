//! Running laps: counted against the limits, coordinated, and supervised until they end.
//!
//! Each lap has one coordinator among the nodes. It hands out the chunks, stops the lap at its deadline, and stores the final summary. If
//! the coordinator is lost, another node adopts the lap. In the same way an engine adopts unfinished laps when it starts.

use std::collections::hash_map::Entry;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use quilt::{Position, Quilt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::error::TooManyRunning;
use super::load::STATUS_INTERVAL;
use super::running::Share;
use super::shared::{Engine, OtherNodes, Shared};
use crate::cluster::{Reply, Request, ask, demote};
use crate::dispatch::{Contact, DispatchedLap, Holder, LEASE_TTL, LapId, Lease, NodeId, SharePath, Validity};
use crate::journal::{JournalError, retry_while_unavailable};
use crate::live::{Gate, LiveBatch};

/// How often a coordinator renews its coordination of a lap, and how often a node searches for uncoordinated laps.
pub(super) const RENEW_INTERVAL: Duration = Duration::from_secs(LEASE_TTL.as_secs() / 3);

/// How long a coordinator relies on a renewal. It is shorter than the time after which other nodes take over.
const COORDINATED_TIME: Duration = Duration::from_secs(LEASE_TTL.as_secs() * 2 / 3);

/// How long a node must receive statuses without interruption before it asks its peers for the leases that they hold.
const LISTENING_TIME: Duration = Duration::from_millis(1_500);

/// How long a new coordinator waits for a peer to list its leases, in time during which messages arrive.
const HOLDINGS_TIME: Duration = Duration::from_secs(6);

/// How long a counted lap may take to appear in the journal before it is considered abandoned.
const START_TIME: Duration = Duration::from_secs(60);

/// The coordinator's knowledge of a lap at its start.
pub(super) struct Start {
    /// The coordinator's epoch.
    pub(super) epoch: u64,
    /// The range of positions to run. `None` means all positions.
    pub(super) positions: Option<Range<Position>>,
    /// The batch, if it is loaded.
    pub(super) batch: Option<Arc<LiveBatch>>,
    /// Whether an earlier coordinator may have granted leases of the lap.
    pub(super) is_adopted: bool,
}

impl Engine {
    /// Counts a lap against the limits. Returns `false` if it is counted already.
    pub(super) fn count(&self, lap: LapId, share: Share) -> Result<bool, TooManyRunning> {
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

    /// Counts a lap against the limits and makes this node its coordinator. Returns the epoch, or `None` if the lap is running already, on
    /// this node or another one.
    pub(super) async fn count_and_coordinate<E>(&self, lap: LapId, share: Share) -> Result<Option<u64>, E>
    where
        E: From<TooManyRunning> + From<JournalError>,
    {
        if !self.count(lap, share)? {
            return Ok(None);
        }
        let epoch = self.acquire_or_renew(lap).await;
        if !matches!(epoch, Ok(Some(_))) {
            self.uncount(lap);
        }
        Ok(epoch?)
    }

    pub(super) fn uncount(&self, lap: LapId) {
        self.running().here.remove(&lap);
    }

    /// Stops coordinating a counted lap that did not start.
    pub(super) async fn give_up(&self, lap: LapId) {
        self.abandon(lap).await;
        self.uncount(lap);
    }

    pub(super) async fn acquire_or_renew(&self, lap: LapId) -> Result<Option<u64>, JournalError> {
        match &self.shared.cluster {
            Some(nodes) => nodes.cluster.coordination.acquire_or_renew(lap).await,
            None => Ok(Some(self.shared.epochs.fetch_add(1, Ordering::Relaxed))),
        }
    }

    /// Gives up the coordination of a lap.
    pub(super) async fn abandon(&self, lap: LapId) {
        if let Some(nodes) = &self.shared.cluster {
            nodes.cluster.coordination.abandon(lap).await;
        }
    }

    /// Coordinates a counted lap until it ends, in the background.
    pub(super) fn coordinate(&self, lap: LapId, start: Start) {
        let engine = self.clone();
        self.shared.laps.spawn(async move {
            engine.shared.ended.run_until_cancelled(engine.supervise(lap, start)).await;
        });
    }

    /// Keeps a batch in memory while a lap of it runs, stops the lap at its deadline, and stores the final summary.
    async fn supervise(&self, lap: LapId, start: Start) {
        let validity = Arc::new(match self.shared.cluster {
            Some(_) => Validity::until(Instant::now() + COORDINATED_TIME),
            None => Validity::always(),
        });
        let epoch = start.epoch;
        let is_open = AtomicBool::new(false);
        let ended = tokio::select! {
            biased;
            () = self.shared.handing_over.cancelled() => {
                // Other nodes adopt the lap once it is abandoned.
                self.shared.scheduler.close(lap, |_, _| ());
                return self.abandon(lap).await;
            }
            ended = self.run_lap(lap, start, (&validity, &is_open)) => Some(ended),
            () = self.renew_until_lost(lap, epoch, (&validity, &is_open)) => None,
        };
        match ended {
            Some(_) => self.shared.scheduler.close(lap, |_, _| ()),
            None => {
                self.demote(lap);
                // This node may have acquired the lap again without knowing the leases that others have granted since.
                self.abandon(lap).await;
            }
        }
        {
            let mut running = self.running();
            running.here.remove(&lap);
            running.ending.insert(lap);
        }
        let finalized = match ended {
            Some(Ok(batch)) => self.finalize(lap, &batch).await,
            Some(Err(error)) => {
                self.abandon(lap).await;
                Err(error)
            }
            None => {
                tracing::warn!(batch = %lap.batch, lap = lap.lap, "another node coordinates it now");
                Ok(())
            }
        };
        self.running().ending.remove(&lap);
        if let Err(error) = finalized
            && !matches!(error, JournalError::Removed | JournalError::Closed)
        {
            tracing::error!(batch = %lap.batch, %error, "a batch is left alone");
        }
    }

    fn demote(&self, lap: LapId) {
        if let Some(nodes) = &self.shared.cluster {
            demote(&self.shared.scheduler, &nodes.remote, lap);
        }
    }

    /// Renews the coordination of a lap until it is lost: another node coordinates the lap, or has done so in between.
    async fn renew_until_lost(&self, lap: LapId, epoch: u64, (validity, is_open): (&Validity, &AtomicBool)) {
        if self.shared.cluster.is_none() {
            return std::future::pending().await;
        }
        loop {
            sleep(RENEW_INTERVAL).await;
            let sent = Instant::now();
            match self.acquire_or_renew(lap).await {
                Ok(Some(renewed)) if renewed == epoch => {
                    if is_open.load(Ordering::Relaxed) && !self.shared.scheduler.is_open(lap) {
                        // A later coordinator has asked for the leases of this node.
                        return;
                    }
                    validity.renew(sent + COORDINATED_TIME);
                    self.shared.scheduler.refresh(lap);
                }
                Ok(_) => return,
                Err(error) => tracing::debug!(batch = %lap.batch, %error, "cannot renew that this node coordinates it"),
            }
        }
    }

    async fn run_lap(
        &self,
        lap: LapId,
        Start { epoch, positions, batch, is_adopted }: Start,
        (validity, is_open): (&Arc<Validity>, &AtomicBool),
    ) -> Result<Arc<LiveBatch>, JournalError> {
        let batch = match batch {
            Some(batch) => batch,
            None => retry_while_unavailable(|| self.open(lap.batch)).await?.ok_or(JournalError::Removed)?,
        };
        // The start of the lap may be in the journal and not yet applied. If it does not arrive, the lap has not started, and the one
        // before it is finished.
        if timeout(START_TIME, batch.wait_until(|quilt| quilt.lap_number() >= lap.lap)).await.is_err() {
            return Ok(batch);
        }
        let gates = batch.gates();
        let all = Position(0)..Position(batch.folded().quilt.progress().tasks);
        let dispatched = DispatchedLap {
            lap,
            path: SharePath::new(batch.folded().quilt.group(), batch.owner(), lap),
            batch: Arc::clone(&batch),
            epoch,
            validity: Arc::clone(validity),
            clock: self.shared.settings.clock,
        };
        let (scheduler, positions) = (&self.shared.scheduler, positions.unwrap_or(all));
        match &self.shared.cluster {
            Some(nodes) if is_adopted => {
                scheduler.adopt(dispatched, positions, || nodes.remote.take(lap));
                is_open.store(true, Ordering::Relaxed);
                scheduler.opened(lap, &self.holdings(lap, nodes).await);
            }
            _ => {
                scheduler.open(dispatched, positions);
                is_open.store(true, Ordering::Relaxed);
            }
        }
        scheduler.refresh(lap);
        tokio::select! {
            biased;
            () = batch.wait_until(|quilt| is_past(quilt, lap.lap)) => {}
            () = batch.removed() => return Err(JournalError::Removed),
            stopped = self.stop_at_deadline(&batch, lap) => stopped?,
            stopped = self.stop_when_drained(&batch, lap, validity) => stopped?,
            () = self.follow_gate(gates, lap) => {}
        }
        Ok(batch)
    }

    /// Updates the scheduler when a batch is paused, resumed or limited.
    async fn follow_gate(&self, mut gates: watch::Receiver<Gate>, lap: LapId) {
        // The sender lives as long as the batch.
        while gates.changed().await.is_ok() {
            self.shared.scheduler.refresh(lap);
        }
    }

    /// Collects the leases of a lap from peers. Their positions must not run elsewhere.
    async fn holdings(&self, lap: LapId, OtherNodes { cluster, live, .. }: &OtherNodes) -> Vec<(Contact, Vec<Lease>)> {
        let Shared { peers, .. } = &*self.shared;
        while peers.reachable_for() < LISTENING_TIME {
            sleep(STATUS_INTERVAL / 5).await;
        }
        // The answer comes from the holder itself, so its list is complete.
        let contact = |id| Contact { holder: Holder::Peer(id), live: live.now(), exchange: u64::MAX };
        let question = Request::Holdings { lap, coordinator: cluster.messages.id() };
        let ask = |id: NodeId| {
            let (question, contact) = (&question, &contact);
            async move {
                let asked = live.now();
                // A peer that does not answer although messages arrive is lost.
                while live.now().saturating_sub(asked) < HOLDINGS_TIME && peers.holders().contains(&id) {
                    if let Some(Reply::Holdings(leases)) = ask(&*cluster.messages, id, question).await {
                        return Some((contact(id), leases));
                    }
                    sleep(STATUS_INTERVAL / 5).await;
                }
                None
            }
        };
        join_all(peers.holders().into_iter().map(ask)).await.into_iter().flatten().collect()
    }

    /// Stores the final summary of a batch, and the receipts of its laps.
    async fn finalize(&self, lap: LapId, batch: &LiveBatch) -> Result<(), JournalError> {
        let Some((summary, receipts)) = batch.final_summary() else { return Ok(()) };
        let progress = summary.progress;
        tracing::info!(batch = %batch.id(), lap = summary.lap, status = summary.status.as_str(), progress.done, progress.failed, "a lap is over");
        batch.panics.report();
        let note = || self.shared.journal.finalize(batch.id(), lap.lap, summary.clone(), receipts.clone());
        retry_while_unavailable(note).await?;
        self.abandon(lap).await;
        Ok(())
    }
}

/// Whether a lap that has started has ended.
pub(super) fn is_past(quilt: &Quilt, lap: u32) -> bool {
    quilt.lap_number() > lap || quilt.status().is_over()
}
