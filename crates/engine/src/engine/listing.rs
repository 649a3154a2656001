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

/// The maximum number of batches that [`Engine::find`] reads. Its results are complete up to the cursor that it returns.
pub const MAX_SEARCHED: u32 = 1_000;

/// The number of batches that a search reads at once. Each may have a specification of up to a mebibyte.
const SEARCHED_AT_ONCE: u32 = 100;

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
        for item in listed {
            let id = item.batch;
            batches.extend(self.summary_of(item).await?.map(|summary| (id, summary)));
        }
        Ok(Listing { batches, next })
    }

    /// Up to `limit` batches of an owner that match, newest first, after the cursor `after`. A call reads at most [`MAX_SEARCHED`] batches:
    /// it may return fewer matches, or none, and a cursor to continue.
    ///
    /// # Errors
    ///
    /// If the journal cannot be read.
    pub async fn find(
        &self,
        owner: OwnerId,
        matches: impl Fn(&Summary) -> bool,
        mut after: Option<u64>,
        limit: u32,
    ) -> Result<Listing, JournalError> {
        let mut batches = Vec::new();
        let mut searched = 0;
        // Enough if all match.
        let mut at_once = limit.saturating_add(1).min(SEARCHED_AT_ONCE);
        while searched < MAX_SEARCHED {
            let listed = self.shared.journal.list(owner, after, at_once).await?;
            let is_end = listed.len() < at_once as usize;
            at_once = SEARCHED_AT_ONCE;
            for item in listed {
                let (id, cursor) = (item.batch, item.cursor);
                let found = self.summary_of(item).await?.filter(&matches);
                // A match beyond the limit only shows that there is a next page.
                if found.is_some() && batches.len() >= limit as usize {
                    return Ok(Listing { batches, next: after });
                }
                batches.extend(found.map(|summary| (id, summary)));
                after = Some(cursor);
                searched += 1;
            }
            if is_end {
                return Ok(Listing { batches, next: None });
            }
        }
        Ok(Listing { batches, next: after })
    }

    /// The batches of an owner whose laps have not ended, newest first. Damaged batches are skipped.
    ///
    /// # Errors
    ///
    /// If the journal cannot be read.
    pub async fn unfinished(&self, owner: OwnerId) -> Result<Vec<(BatchId, Summary)>, JournalError> {
        let open = self.shared.journal.unfinished().await?;
        let mut batches = Vec::new();
        for open in open.into_iter().filter(|open| open.owner == owner) {
            let summary = self.live_summary(open.batch).await?;
            batches.extend(summary.filter(|summary| !summary.status.is_over()).map(|summary| (open.batch, summary)));
        }
        batches.sort_by_key(|(_, summary)| std::cmp::Reverse(summary.created_at));
        Ok(batches)
    }

    /// The summary of a batch of an owner. `None` if there is no such batch, and for a batch of somebody else, which is not opened.
    ///
    /// # Errors
    ///
    /// If the journal cannot be read.
    pub async fn own_summary(&self, id: BatchId, owner: OwnerId) -> Result<Option<Summary>, JournalError> {
        match self.shared.batches.owner(id).await? {
            Some(known) if known == owner => self.live_summary(id).await,
            Some(_) | None => Ok(None),
        }
    }

    async fn summary_of(&self, item: BatchListItem) -> Result<Option<Summary>, JournalError> {
        match item.final_summary {
            Some(summary) => Ok(Some(summary)),
            None => self.live_summary(item.batch).await,
        }
    }

    /// The summary of a batch that is open; `None` if it is damaged or was removed.
    async fn live_summary(&self, id: BatchId) -> Result<Option<Summary>, JournalError> {
        match self.open(id).await {
            Ok(live) => Ok(live.map(|live| live.folded().quilt.summary())),
            Err(error @ JournalError::Damaged { .. }) => {
                tracing::error!(%error, "left out of a list");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
