//! The batches of an owner.

use quilt::{BatchId, OwnerId, Summary};

use super::shared::Engine;
use crate::journal::{BatchListItem, JournalError};

/// A page of an owner's list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// Batches, newest first.
    pub batches: Vec<(BatchId, Summary)>,
    /// The cursor of the next page, if there is one.
    pub next: Option<u64>,
}

impl Engine {
    /// Up to `limit` batches of an owner, newest first, after the cursor `after`. Damaged batches are skipped.
    ///
    /// # Errors
    ///
    /// If the journal cannot be read.
    pub async fn list(&self, owner: OwnerId, after: Option<u64>, limit: u32) -> Result<Listing, JournalError> {
        let mut listed = self.shared.journal.list(owner, after, limit.saturating_add(1)).await?;
        let goes_on = listed.len() > limit as usize;
        listed.truncate(limit as usize);
        let next = listed.last().filter(|_| goes_on).map(|last| last.cursor);
        let mut batches = Vec::with_capacity(listed.len());
        for BatchListItem { batch, final_summary, .. } in listed {
            let summary = match final_summary {
                Some(summary) => Some(summary),
                None => match self.open(batch).await {
                    Ok(live) => live.map(|live| live.folded().quilt.summary()),
                    Err(error @ JournalError::Damaged { .. }) => {
                        tracing::error!(%error, "left out of a list");
                        None
                    }
                    Err(error) => return Err(error),
                },
            };
            batches.extend(summary.map(|summary| (batch, summary)));
        }
        Ok(Listing { batches, next })
    }
}
