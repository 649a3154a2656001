//! What is known of one square: how it stands, and every try at it.

use std::ops::Range;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use quilt::{AttemptRecord, BatchId, Event, Index, Outcome, Receipt, Square};

use super::shared::Engine;
use crate::journal::{JournalError, Offset, SquareDetail};
use crate::work::Detail;

/// The most tries that are told of one square, the latest ones.
const MAX_ATTEMPTS: usize = 1_000;

/// One square, with every try at it.
#[derive(Debug, Clone, PartialEq)]
pub struct SquareRecord {
    /// Its outcome, if it has one.
    pub outcome: Option<Outcome>,
    /// What is kept besides it.
    pub detail: Option<Detail>,
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
            let position = quilt.position_of(square);
            position.map(|position| (quilt.order().index(position), position.0, quilt.at(position).outcome()))
        };
        let Some((index, position, outcome)) = found else { return Ok(None) };
        let detail = match outcome {
            Some(_) => self.details(id, index.0..index.0 + 1).await?.pop(),
            None => None,
        };
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
        Ok(Some(SquareRecord { outcome, detail: detail.map(|(_, detail)| detail), attempts }))
    }

    /// The details of those squares of a range that have any, in the order of the squares. They may be of squares that have no outcome, if a
    /// batch was cancelled or failed squares were put back.
    ///
    /// # Errors
    ///
    /// Where the journal cannot be read.
    pub async fn details(&self, id: BatchId, squares: Range<u32>) -> Result<Vec<(Index, Detail)>, JournalError> {
        let stored = self.shared.journal.details(id, squares).await?;
        let decoded = stored.into_iter().filter_map(|SquareDetail { index, body, .. }| match Detail::decode(&body) {
            Ok(detail) => Some((index, detail)),
            Err(error) => {
                tracing::error!(batch = %id, square = index.0, %error, "left out");
                None
            }
        });
        Ok(decoded.collect())
    }

    /// The input that a batch was launched with.
    ///
    /// # Errors
    ///
    /// Where the journal cannot be read.
    pub async fn input(&self, id: BatchId) -> Result<Option<Bytes>, JournalError> {
        self.shared.journal.input(id).await
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
