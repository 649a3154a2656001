//! What is known of one square: how it stands, and every try at it.

use futures::StreamExt;
use quilt::{BatchId, Event, Outcome, Receipt, Square, SquareState, Timestamp};

use super::Engine;
use crate::journal::{JournalError, Offset};

/// The most tries that are told of one square, the latest ones.
const MAX_ATTEMPTS: usize = 1_000;

/// One square, with every try at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SquareRecord {
    /// Its outcome, if it has one.
    pub outcome: Option<Outcome>,
    /// The tries that ended, in the order in which they were written.
    pub attempts: Vec<AttemptRecord>,
}

/// One try at one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    /// The lap, from 1.
    pub lap: u32,
    /// Which try it was in that lap, from 1.
    pub number: u8,
    /// The worker that made it.
    pub worker: Box<str>,
    /// When it was started.
    pub started_at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u32,
    /// Why it failed; `None` where the task was done.
    pub error: Option<Box<str>>,
}

impl Engine {
    /// One square of a batch, or `None` where there is no such batch or square. The cost is that of reading the batch's journal once.
    ///
    /// # Errors
    ///
    /// Where the journal cannot be read.
    pub async fn square(&self, id: BatchId, square: Square) -> Result<Option<SquareRecord>, JournalError> {
        let Some(batch) = self.open(id).await? else { return Ok(None) };
        let found = {
            let folded = batch.folded();
            let quilt = &folded.quilt;
            quilt.grid().index(square).map(|index| (quilt.order().position(index).0, outcome(quilt.square(index))))
        };
        let Some((position, outcome)) = found else { return Ok(None) };
        let mut attempts = Vec::new();
        let mut pages = self.shared.journal.follow(id, Offset::default());
        while let Some(page) = pages.next().await {
            let page = page?;
            for event in page.events {
                let Event::Attempted { lap, worker, runs } = event else { continue };
                let tries = runs.into_iter().filter(|run| run.positions().contains(&position));
                attempts.extend(tries.map(|run| AttemptRecord {
                    lap,
                    number: run.number,
                    worker: worker.clone(),
                    started_at: run.started_at,
                    took_ms: run.took_ms,
                    error: run.error,
                }));
            }
            let too_many = attempts.len().saturating_sub(MAX_ATTEMPTS);
            attempts.drain(..too_many);
            if page.caught_up {
                break;
            }
        }
        Ok(Some(SquareRecord { outcome, attempts }))
    }

    /// The receipts of the laps of a batch that crossed their finish lines, in order; `None` where there is no such batch.
    ///
    /// # Errors
    ///
    /// Where the journal cannot be read.
    pub async fn receipts(&self, id: BatchId) -> Result<Option<Vec<Receipt>>, JournalError> {
        let noted = self.shared.journal.receipts(id).await?;
        // One that was concluded before there were receipts has none of them.
        if noted.is_complete && !noted.receipts.is_empty() {
            return Ok(Some(noted.receipts));
        }
        Ok(self.open(id).await?.map(|batch| batch.folded().ledger.receipts().to_vec()))
    }
}

fn outcome(state: SquareState<'_>) -> Option<Outcome> {
    match state {
        SquareState::Pending => None,
        SquareState::Done(color) => Some(Outcome::Done(color)),
        SquareState::Failed(reason) => Some(Outcome::Failed(reason.into())),
    }
}
