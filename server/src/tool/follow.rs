//! Follows a batch over its channel, with the same fold as the page.

use std::time::Duration;

use quilt::wire::ClientFrame;
use quilt::{BatchId, Quilt, Step};
use tokio::time::{Instant, sleep};
use viewer::{Received, Viewer};

use super::api::{Api, Channel};
use super::error::ToolError;

/// How long a server may be unreachable before the tool gives up.
const RETRY_BUDGET: Duration = Duration::from_secs(60);

/// The pause between two connection attempts.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// A batch that is being followed.
pub(crate) struct Follower {
    api: Api,
    id: BatchId,
    channel: Option<Channel>,
    /// In a box, because it is a large part of the futures that hold it.
    viewer: Box<Viewer>,
}

impl Follower {
    pub(crate) fn new(api: Api, id: BatchId) -> Self {
        Self { api, id, channel: None, viewer: Box::default() }
    }

    /// Waits for a change of the batch and returns it. Lost connections are established again. The future may be dropped; the next call
    /// continues.
    pub(crate) async fn next(&mut self) -> Result<&Quilt, ToolError> {
        let mut lost_at = None;
        loop {
            match self.recv().await {
                Ok(Some(step)) => {
                    if let Some(channel) = &mut self.channel {
                        // A lost connection is noticed with the next message.
                        let _ = channel.send(ClientFrame::Ack { step }).await;
                    }
                    break;
                }
                Ok(None) => {}
                Err(error) => {
                    self.channel = None;
                    let lost_at = *lost_at.get_or_insert_with(Instant::now);
                    if lost_at.elapsed() > RETRY_BUDGET {
                        return Err(error);
                    }
                    sleep(RETRY_PAUSE).await;
                }
            }
        }
        self.viewer.quilt().ok_or_else(|| self.api.unreachable("it sends no snapshot of the batch"))
    }

    /// Folds the next message and returns the step to acknowledge, if the batch changed.
    async fn recv(&mut self) -> Result<Option<Step>, ToolError> {
        let lost = |api: &Api| api.unreachable("the connection is lost");
        let channel = match &mut self.channel {
            Some(channel) => channel,
            None => {
                let mut channel = self.api.channel(self.id).await?;
                self.viewer.connected();
                let from = self.viewer.step();
                channel.send(ClientFrame::Hello { from }).await.ok_or_else(|| lost(&self.api))?;
                self.channel.insert(channel)
            }
        };
        let message = channel.recv().await.ok_or_else(|| lost(&self.api))?;
        match self.viewer.receive(&message, false) {
            Received::Changed(step) => Ok(Some(step)),
            Received::OutOfStep => {
                // The next connection starts with a snapshot.
                self.viewer.forget();
                Err(lost(&self.api))
            }
            Received::Newer => {
                Err(self.api.unreachable("it has a later version than this program; use one of that version"))
            }
            Received::Load(_) | Received::Raced | Received::Missed | Received::Part => Ok(None),
        }
    }
}
