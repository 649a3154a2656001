//! Follows a batch with the same fold as everybody else.

use std::time::Duration;

use quilt::wire::{ClientFrame, ServerFrame};
use quilt::{BatchId, Quilt};
use tokio::time::{Instant, sleep};

use super::api::{Api, Channel};
use super::error::ToolError;

/// How long a server may be away before we stop waiting for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pause before a connection is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// A batch that is being followed.
pub(crate) struct Follower {
    api: Api,
    id: BatchId,
    channel: Option<Channel>,
    quilt: Option<Quilt>,
}

impl Follower {
    pub(crate) fn new(api: Api, id: BatchId) -> Self {
        Self { api, id, channel: None, quilt: None }
    }

    /// The batch as far as it is known, once something of it has changed. Connections that are lost are made again. Given up in the middle,
    /// it goes on with the next call.
    pub(crate) async fn next(&mut self) -> Result<&Quilt, ToolError> {
        let mut lost_at = None;
        loop {
            let step = match self.hear().await {
                Ok(Some(())) => self.quilt.as_ref().map(Quilt::step),
                Ok(None) => continue,
                Err(error) => {
                    self.channel = None;
                    let lost_at = *lost_at.get_or_insert_with(Instant::now);
                    if lost_at.elapsed() > PATIENCE {
                        return Err(error);
                    }
                    sleep(PAUSE).await;
                    continue;
                }
            };
            if let (Some(step), Some(channel)) = (step, &mut self.channel) {
                let _ = channel.say(ClientFrame::Ack { step }).await;
            }
            break;
        }
        self.quilt.as_ref().ok_or_else(|| self.api.unreachable("it tells nothing of the batch"))
    }

    /// Takes a frame; `None` where it has changed nothing.
    async fn hear(&mut self) -> Result<Option<()>, ToolError> {
        let lost = |api: &Api| api.unreachable("the connection is lost");
        let channel = match &mut self.channel {
            Some(channel) => channel,
            None => {
                let mut channel = self.api.channel(self.id).await?;
                let from = self.quilt.as_ref().map(Quilt::step);
                channel.say(ClientFrame::Hello { from }).await.ok_or_else(|| lost(&self.api))?;
                self.channel.insert(channel)
            }
        };
        match channel.hear().await.ok_or_else(|| lost(&self.api))? {
            ServerFrame::Snapshot(quilt) => {
                self.quilt = Some(*quilt);
                Ok(Some(()))
            }
            ServerFrame::Delta { from, events } => {
                let Some(quilt) = self.quilt.as_mut().filter(|quilt| quilt.step() == from) else {
                    // Something was missed. A new connection begins with everything.
                    self.quilt = None;
                    return Err(lost(&self.api));
                };
                let mut changes = Vec::new();
                events.iter().for_each(|event| quilt.apply(event, &mut changes));
                Ok(Some(()))
            }
            ServerFrame::Status(_) | ServerFrame::Attempts { .. } => Ok(None),
        }
    }
}
