//! The record of one square: its outcome and all attempts.

use std::ops::Range;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use quilt::{AttemptRecord, BatchId, Color, Event, Index, JournalVersion, Receipt, Square, SquareState};

use super::shared::Engine;
use crate::journal::{JournalError, Offset, SquareDetail};
use crate::live::LiveBatch;
use crate::work::{Detail, StoredDetail};

/// The maximum number of attempts returned for one square. The latest ones are returned.
const MAX_ATTEMPTS: usize = 1_000;

/// The number of concurrent reads of messages.
const READS_AT_ONCE: usize = 16;

/// One square with all its attempts.
#[derive(Debug, Clone, PartialEq)]
pub struct SquareRecord {
    /// Its state, outcome and detail.
    pub result: SquareResult,
    /// The attempts that ended, in the order in which they were written.
    pub attempts: Vec<AttemptRecord>,
}

/// The state of a square, with its outcome and detail.
#[derive(Debug, Clone, PartialEq)]
pub enum SquareResult {
    /// Its task has not ended.
    Pending,
    /// Its task is done.
    Done {
        /// Its color.
        color: Color,
        /// The recorded detail.
        detail: Option<Detail>,
    },
    /// Its task failed permanently.
    Failed {
        /// A short reason, the same for failures of the same kind.
        reason: Box<str>,
        /// The full message.
        message: Box<str>,
        /// The recorded detail.
        detail: Option<Detail>,
    },
    /// Its task was pending when the batch was stopped.
    NotRun,
}

impl SquareResult {
    /// The recorded detail.
    #[must_use]
    pub fn detail(&self) -> Option<&Detail> {
        match self {
            Self::Done { detail, .. } | Self::Failed { detail, .. } => detail.as_ref(),
            Self::Pending | Self::NotRun => None,
        }
    }

    fn of(state: SquareState<'_>) -> Self {
        match state {
            SquareState::Pending => Self::Pending,
            SquareState::NotRun => Self::NotRun,
            SquareState::Done(color) => Self::Done { color, detail: None },
            SquareState::Failed(reason) => Self::Failed { reason: reason.into(), message: reason.into(), detail: None },
        }
    }

    /// Adds the stored detail. A detail that does not fit the outcome is from an earlier lap.
    fn with(self, stored: StoredDetail, version: JournalVersion) -> Self {
        match (self, stored) {
            (Self::Done { color, .. }, StoredDetail::Plain(detail)) => Self::Done { color, detail: Some(detail) },
            (Self::Failed { reason, message, .. }, StoredDetail::Failure { message: stored, detail }) => {
                Self::Failed { reason, message: stored.unwrap_or(message), detail }
            }
            // The format of the first version.
            (Self::Failed { reason, message, .. }, StoredDetail::Plain(detail)) if version == JournalVersion::V1 => {
                Self::Failed { reason, message, detail: Some(detail) }
            }
            (other, _) => other,
        }
    }
}

/// A stream of consecutive events, up to the end of the journal.
pub type Events = BoxStream<'static, Result<Vec<Event>, JournalError>>;

impl Engine {
    /// A batch's events after an offset, up to the end of its journal at this moment. `None` if there is no such batch.
    ///
    /// # Errors
    ///
    /// If the journal cannot be read.
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

    /// One square of a batch, or `None` if there is no such batch or square. It reads the batch's journal once.
    ///
    /// # Errors
    ///
    /// If the journal cannot be read.
    pub async fn square(&self, id: BatchId, square: Square) -> Result<Option<SquareRecord>, JournalError> {
        let Some(batch) = self.open(id).await? else { return Ok(None) };
        let found = {
            let folded = batch.folded();
            let quilt = &folded.quilt;
            quilt.position_of(square).map(|position| (quilt.order().index(position), position.0))
        };
        let Some((index, position)) = found else { return Ok(None) };
        let Some(result) = self.results(&batch, index.0..index.0 + 1).await?.pop() else { return Ok(None) };
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
        Ok(Some(SquareRecord { result, attempts }))
    }

    /// The results of a range of squares, in their order. Squares beyond the end of the batch are omitted.
    ///
    /// # Errors
    ///
    /// If the journal cannot be read.
    pub async fn results(&self, batch: &LiveBatch, squares: Range<u32>) -> Result<Vec<SquareResult>, JournalError> {
        let (version, mut results) = {
            let folded = batch.folded();
            let quilt = &folded.quilt;
            let squares = (squares.start..squares.end.min(quilt.progress().tasks)).map(Index);
            let states = squares.map(|index| SquareResult::of(quilt.square(index)));
            (quilt.version(), states.collect::<Vec<_>>())
        };
        // Read after the states: a detail is stored together with its outcome.
        for detail in self.shared.journal.details(batch.id(), squares.clone()).await? {
            let place = detail.index.0.checked_sub(squares.start).map_or(usize::MAX, |place| place as usize);
            if let Some(result) = results.get_mut(place)
                && let Some(stored) = decoded(batch, &detail)
            {
                *result = std::mem::replace(result, SquareResult::Pending).with(stored, version);
            }
        }
        Ok(results)
    }

    /// The messages of failures, in the order of `squares`. `None` if the message equals the reason, or if a later lap than the given one
    /// has replaced it.
    ///
    /// # Errors
    ///
    /// If the journal cannot be read.
    pub async fn messages(
        &self,
        batch: &LiveBatch,
        squares: Vec<(Index, Option<u32>)>,
    ) -> Result<Vec<Option<Box<str>>>, JournalError> {
        let reads = squares.into_iter().map(|(index, lap)| async move {
            let detail = self.shared.journal.details(batch.id(), index.0..index.0 + 1).await?.pop();
            let of_lap = detail.filter(|detail| lap.is_none_or(|lap| detail.lap == lap));
            Ok(match of_lap.and_then(|detail| decoded(batch, &detail)) {
                Some(StoredDetail::Failure { message, .. }) => message,
                Some(StoredDetail::Plain(_)) | None => None,
            })
        });
        stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await
    }

    /// The input that a batch was launched with.
    ///
    /// # Errors
    ///
    /// If the journal cannot be read.
    pub async fn input(&self, id: BatchId) -> Result<Option<Bytes>, JournalError> {
        self.shared.journal.input(id).await
    }

    /// The size of that input in bytes. The input is not read.
    ///
    /// # Errors
    ///
    /// If the journal cannot be read.
    pub async fn input_size(&self, id: BatchId) -> Result<Option<u64>, JournalError> {
        self.shared.journal.input_size(id).await
    }

    /// The receipts of the laps of a batch that crossed their finish lines, in order. `None` if there is no such batch.
    ///
    /// # Errors
    ///
    /// If the journal cannot be read.
    pub async fn receipts(&self, id: BatchId) -> Result<Option<Vec<Receipt>>, JournalError> {
        let Some(found) = self.shared.journal.find(id).await? else { return Ok(None) };
        // Batches that were finalized before receipts existed have none.
        if found.is_finalized && !found.receipts.is_empty() {
            return Ok(Some(found.receipts));
        }
        Ok(self.open(id).await?.map(|batch| batch.folded().stats.receipts().to_vec()))
    }
}

/// Decodes the stored detail of a square. Returns `None` and logs if it cannot be read.
fn decoded(batch: &LiveBatch, SquareDetail { index, body, .. }: &SquareDetail) -> Option<StoredDetail> {
    StoredDetail::decode(body)
        .inspect_err(|error| tracing::error!(batch = %batch.id(), square = index.0, %error, "left out"))
        .ok()
}
