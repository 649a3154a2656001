//! Reads the results of a batch from the engine.

use std::ops::Range;
use std::sync::Arc;

use ::api::{ResultSort, SortOrder};
use axum::http::StatusCode;
use engine::work::Column;
use engine::{AttemptIndex, Engine, Items, JournalError, LiveBatch, SortedSquares};
use quilt::Index;

use super::formats::{Row, RowAttempt};
use super::result_pages::{Ordering, Source};
use super::selection::Selection;
use crate::problem::Problem;

/// How many squares are read at once, and how many if their details may be large.
const READ_SQUARES: usize = 1_024;
const DETAILED_READ_SQUARES: usize = 32;

/// The squares of a batch in reading order or sorted, with what is stored of them.
pub(super) struct ResultSource {
    engine: Engine,
    pub(super) batch: Arc<LiveBatch>,
    pub(super) columns: &'static [Column],
    items: Arc<Items>,
    attempts: Option<Arc<AttemptIndex>>,
    sorted: Option<Arc<SortedSquares>>,
    is_descending: bool,
}

impl ResultSource {
    /// In reading order. With `attempts`, rows have their last attempts if the lap has ended.
    pub(super) async fn new(engine: Engine, batch: Arc<LiveBatch>, attempts: bool) -> Result<Self, JournalError> {
        let columns = engine.registry().kind(&batch.spec().work.kind).map(|kind| kind.columns()).unwrap_or_default();
        let items = engine.items(&batch).await?;
        let attempts = if attempts { engine.attempt_index(&batch).await? } else { None };
        Ok(Self { engine, batch, columns, items, attempts, sorted: None, is_descending: false })
    }

    /// Sorts the squares. Returns an error if the batch is still running, save for reading order.
    pub(super) async fn sort(&mut self, sort: ResultSort, order: SortOrder) -> Result<Ordering, Problem> {
        self.is_descending = order == SortOrder::Descending;
        let by: fn(&AttemptIndex) -> Arc<SortedSquares> = match sort {
            ResultSort::Square => return Ok(Ordering { sort, order, offset: None }),
            ResultSort::State => AttemptIndex::by_state,
            ResultSort::Duration => AttemptIndex::by_duration,
            ResultSort::Attempts => AttemptIndex::by_attempts,
        };
        let index = self.engine.attempt_index(&self.batch).await?.ok_or_else(|| {
            let detail = format!(
                "this batch is still running; its results can be sorted by {} once it has ended, and by square at any time",
                sort.as_str()
            );
            Problem::new(StatusCode::CONFLICT, "batch-not-over", detail)
        })?;
        let offset = index.offset();
        // Sorting a million squares is CPU-bound.
        let sorted = tokio::task::spawn_blocking(move || by(&index)).await.map_err(|error| {
            tracing::error!(%error, "results could not be sorted");
            Problem::internal()
        })?;
        self.sorted = Some(sorted);
        Ok(Ordering { sort, order, offset: Some(offset) })
    }

    /// How many squares a writer gets at once.
    pub(super) fn step_size(&self) -> u32 {
        self.read_size() as u32
    }

    /// The results of a range of squares in reading order.
    pub(super) async fn read_range(&self, squares: Range<u32>) -> Result<Vec<Row>, JournalError> {
        let results = self.engine.results(&self.batch, squares.clone()).await?;
        Ok(squares.zip(results).map(|(index, result)| self.row(Index(index), result)).collect())
    }

    fn row(&self, index: Index, result: engine::SquareResult) -> Row {
        let attempt = self.attempts.as_ref().and_then(|attempts| attempts.attempt(index));
        Row {
            square: self.batch.spec().grid.square(index),
            item: self.items.get(index.0).map(Into::into),
            result,
            attempt: attempt.map(|attempt| RowAttempt {
                number: attempt.number.into(),
                took_ms: attempt.took_ms,
                worker: attempt.worker.map(Into::into),
            }),
        }
    }

    /// The square at a rank.
    fn square(&self, rank: u32) -> Option<Index> {
        match &self.sorted {
            Some(sorted) => sorted.at(rank, self.is_descending),
            None if self.is_descending => (self.len() - 1).checked_sub(rank).map(Index),
            None => Some(Index(rank)),
        }
    }
}

impl Source for ResultSource {
    fn len(&self) -> u32 {
        self.batch.spec().grid.squares()
    }

    fn read_size(&self) -> usize {
        if self.columns.is_empty() { READ_SQUARES } else { DETAILED_READ_SQUARES }
    }

    fn candidates(&self, ranks: Range<u32>, selection: &Selection) -> Vec<(u32, Index)> {
        let folded = self.batch.folded();
        let quilt = &folded.quilt;
        if self.sorted.is_none() && !self.is_descending {
            let positions = quilt.order().positions(ranks.clone());
            let all = ranks.zip(positions).filter(|(_, position)| selection.matches_state(quilt.at(*position)));
            return all.map(|(rank, _)| (rank, Index(rank))).collect();
        }
        let all = ranks.filter_map(|rank| Some((rank, self.square(rank)?)));
        all.filter(|(_, index)| selection.matches_state(quilt.square(*index))).collect()
    }

    async fn read(&self, squares: &[(u32, Index)]) -> Result<Vec<Row>, JournalError> {
        let mut indices: Vec<Index> = squares.iter().map(|(_, index)| *index).collect();
        // Neighbors are read together in ascending order only.
        let is_reversed = self.is_descending && self.sorted.is_none();
        if is_reversed {
            indices.reverse();
        }
        let results = self.engine.results_at(&self.batch, &indices).await?;
        let mut rows: Vec<Row> =
            indices.into_iter().zip(results).map(|(index, result)| self.row(index, result)).collect();
        if is_reversed {
            rows.reverse();
        }
        Ok(rows)
    }
}
