//! What the workers do, for viewers and for the other nodes.

use std::sync::atomic::Ordering;

use quilt::BatchId;
use quilt::wire::Load;

use super::shared::{Engine, Shared};
use crate::colleagues::Announcement;
use crate::queue::ANNOUNCE;

impl Engine {
    /// What the workers are doing, for a viewer of a batch.
    #[must_use]
    pub fn load(&self, batch: BatchId) -> Load {
        let Shared { desks, stuck, settings, colleagues, .. } = &*self.shared;
        let mut load = Load {
            now: settings.clock.now(),
            stuck: stuck.load(Ordering::Relaxed),
            nodes: vec![settings.node.clone()],
            workers: desks.iter().map(|desk| desk.look(batch)).collect(),
        };
        colleagues.add_to(&mut load, batch);
        load
    }

    /// Tells the other nodes of this one, and listens to them.
    pub(super) async fn announce(&self) {
        let Shared { queue, settings, desks, stuck, colleagues, .. } = &*self.shared;
        loop {
            let batches = desks.iter().filter_map(|desk| desk.batch()).collect();
            let busy = (1..).zip(desks).filter_map(|(number, desk)| desk.busy(number)).collect();
            let stuck = stuck.load(Ordering::Relaxed);
            queue.announce(&Announcement { node: settings.node.clone(), stuck, busy, batches }).await;
            colleagues.hear(queue.colleagues());
            tokio::time::sleep(ANNOUNCE).await;
        }
    }
}
