//! Why a task is pending.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use quilt::{BatchId, Index, SquareState};

use super::shared::{Engine, OtherNodes, Shared};
use crate::cluster::{Reply, Request, ask};
use crate::dispatch::{LapId, Waiting};
use crate::journal::JournalError;

impl Engine {
    /// The reason why the task of a square is pending. `None` if there is no such square, or its task has ended.
    ///
    /// # Errors
    ///
    /// If the journal cannot be read.
    pub async fn why(&self, id: BatchId, index: Index) -> Result<Option<Waiting>, JournalError> {
        let Some(batch) = self.open(id).await? else { return Ok(None) };
        let (lap, position) = {
            let quilt = &batch.folded().quilt;
            if index.0 >= quilt.progress().tasks || quilt.square(index) != SquareState::Pending {
                return Ok(None);
            }
            (LapId { batch: id, lap: quilt.lap_number() }, quilt.order().position(index))
        };
        let Shared { scheduler, peers, cluster, .. } = &*self.shared;
        if let Some(waiting) = scheduler.why(lap, position, |class| peers.working(class)) {
            return Ok(Some(waiting));
        }
        let Some(OtherNodes { cluster, .. }) = cluster else { return Ok(Some(Waiting::Coordinator)) };
        let question = Request::Why { lap, position };
        let ask = |id| ask(&*cluster.messages, id, &question);
        let asked: FuturesUnordered<_> = peers.ids().into_iter().map(ask).collect();
        let answers = asked.filter_map(|reply| async move {
            match reply {
                Some(Reply::Why(waiting)) => waiting,
                _ => None,
            }
        });
        let first = std::pin::pin!(answers).next().await;
        Ok(Some(first.unwrap_or(Waiting::Coordinator)))
    }
}
