//! What is known of one square: how it stands, and every try at it.

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use quilt::{AttemptRecord, BatchId, Event, Outcome, Receipt, Square};

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

/// Some events of a journal after others, as far as it goes.
pub type Events = BoxStream<'static, Result<Vec<Event>, JournalError>>;

impl Engine {
    /// A batch's events behind an offset, and as far as its journal goes at this moment; `None` where there is no such batch.
    ///
    /// # Errors
    ///
    /// Where the journal cannot be read.
    pub async fn journal(&self, id: BatchId, after: Offset) -> Result<Option<Events>, JournalError> {
        if self.shared.journal.find(id).await?.is_none() {
            return Ok(None);
        }
        let pages = self.shared.journal.follow(id, after);
        let events = stream::unfold(Some(pages), |pages| async move {
            let mut pages = pages?;
            let page = pages.next().await?;
            let goes_on = page.as_ref().is_ok_and(|page| !page.caught_up);
            Some((page.map(|page| page.events), goes_on.then_some(pages)))
        });
        Ok(Some(events.boxed()))
    }

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
            quilt.position_of(square).map(|position| (position.0, quilt.at(position).outcome()))
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
        let Some(found) = self.shared.journal.find(id).await? else { return Ok(None) };
        // One that was concluded before there were receipts has none of them.
        if found.is_concluded && !found.receipts.is_empty() {
            return Ok(Some(found.receipts));
        }
        Ok(self.open(id).await?.map(|batch| batch.folded().ledger.receipts().to_vec()))
    }
}
