//! Pages of results: selected squares with their details, items and last attempts.

use std::ops::Range;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use quilt::Index;

use super::record::SquareResult;
use super::shared::Engine;
use crate::journal::JournalError;
use crate::live::LiveBatch;
use crate::results::{AttemptIndex, Items};

/// How many ranges of squares are read at the same time.
const READS_AT_ONCE: usize = 16;

impl Engine {
    /// The results of squares, in the order in which they are given. Neighbors in ascending order are read together.
    ///
    /// # Errors
    ///
    /// If the journal cannot be read.
    pub async fn results_at(&self, batch: &LiveBatch, squares: &[Index]) -> Result<Vec<SquareResult>, JournalError> {
        let reads = runs(squares).into_iter().map(|run| self.results(batch, run));
        let parts: Vec<Vec<SquareResult>> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
        Ok(parts.into_iter().flatten().collect())
    }

    /// The items of a batch's squares. The batch and its items stay in memory for a while, so that the next page needs not load them.
    ///
    /// # Errors
    ///
    /// If the journal cannot be read.
    pub async fn items(&self, batch: &Arc<LiveBatch>) -> Result<Arc<Items>, JournalError> {
        let load = async || {
            let registry = self.registry().clone();
            let Some(kind) = registry.kind(&batch.spec().work.kind) else { return Ok(Items::default()) };
            let name = kind.name();
            let input = self.input(batch.id()).await?;
            let spec = batch.spec().clone();
            // Parsing an input is CPU-bound. A panic of the kind leaves its squares without items, as an error does.
            let parsed = tokio::task::spawn_blocking(move || {
                let kind = registry.kind(name)?;
                kind.items(&spec, input).ok().map(|items| Items::new(&items))
            });
            Ok(parsed.await.ok().flatten().unwrap_or_default())
        };
        self.shared.results.items(batch, load).await
    }

    /// The last attempt of each square. `None` while the batch runs, because every attempt would change it.
    ///
    /// The first call after the end of a lap reads the whole journal. Later ones use the same index, until the journal has more events or
    /// nobody has asked for a minute. Attempts that ran when a lap was stopped are stored after its end.
    ///
    /// # Errors
    ///
    /// If the journal cannot be read.
    pub async fn attempt_index(&self, batch: &Arc<LiveBatch>) -> Result<Option<Arc<AttemptIndex>>, JournalError> {
        let (is_over, offset, lap) = {
            let folded = batch.folded();
            (folded.quilt.status().is_over(), folded.offset, folded.quilt.lap_number())
        };
        if !is_over {
            return Ok(None);
        }
        let read = || AttemptIndex::read(&*self.shared.journal, batch, lap, offset);
        self.shared.results.index(batch, offset, read).await.map(Some)
    }
}

/// The ranges of consecutive squares.
fn runs(squares: &[Index]) -> Vec<Range<u32>> {
    let runs = squares.chunk_by(|before, next| before.0.checked_add(1) == Some(next.0));
    runs.filter_map(|run| Some(run.first()?.0..run.last()?.0.saturating_add(1))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbors_are_read_together() {
        let squares = [4, 5, 6, 9, 8, 7, u32::MAX].map(Index);
        assert_eq!(runs(&squares), [4..7, 9..10, 8..9, 7..8, u32::MAX..u32::MAX]);
        assert_eq!(runs(&[]), [0..0; 0]);
    }
}
