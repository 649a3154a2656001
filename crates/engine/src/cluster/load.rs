//! The tasks that other nodes run of the batches with viewers on this node. They are requested, so that statuses stay small.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use quilt::BatchId;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::ask::ask;
use super::interface::Messages;
use super::messages::{Reply, Request, RunningTasks};
use super::peers::Peers;
use crate::dispatch::NodeId;

/// The maximum age of an answer.
const MAX_AGE: Duration = Duration::from_millis(400);

/// How long a node has to answer. Viewers wait for this time.
const ANSWER_TIME: Duration = Duration::from_millis(250);

/// How long an answer is cached after its last use.
const UNUSED_TIME: Duration = Duration::from_secs(10);

/// The last answers of the other nodes.
pub(crate) struct PeerLoad {
    messages: Arc<dyn Messages>,
    peers: Arc<Peers>,
    /// By batch, with the time of the last use.
    batches: std::sync::Mutex<BTreeMap<BatchId, (SharedAnswers, Instant)>>,
}

/// Whoever holds the lock asks for all others.
type SharedAnswers = Arc<Mutex<Answers>>;

#[derive(Default)]
struct Answers {
    asked: Option<Instant>,
    of: BTreeMap<NodeId, RunningTasks>,
}

impl PeerLoad {
    pub(crate) fn new(messages: Arc<dyn Messages>, peers: Arc<Peers>) -> Self {
        Self { messages, peers, batches: std::sync::Mutex::default() }
    }

    /// The tasks that other nodes run of a batch. Concurrent calls share one request to each node.
    pub(crate) async fn of(&self, batch: BatchId) -> BTreeMap<NodeId, RunningTasks> {
        let answers = self.answers(batch);
        let mut answers = answers.lock().await;
        if answers.asked.is_none_or(|asked| asked.elapsed() >= MAX_AGE) {
            let peers = self.peers.ids();
            let asked = join_all(peers.iter().map(|id| self.ask(*id, batch))).await;
            // For a node that did not answer in time, the last answer is kept.
            answers.of.retain(|id, _| peers.contains(id));
            answers.of.extend(asked.into_iter().flatten());
            answers.asked = Some(Instant::now());
        }
        answers.of.clone()
    }

    async fn ask(&self, id: NodeId, batch: BatchId) -> Option<(NodeId, RunningTasks)> {
        let request = Request::Running { batch };
        match timeout(ANSWER_TIME, ask(&*self.messages, id, &request)).await {
            Ok(Some(Reply::Running(tasks))) => Some((id, tasks)),
            _ => None,
        }
    }

    fn answers(&self, batch: BatchId) -> SharedAnswers {
        let now = Instant::now();
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        batches.retain(|id, (_, used)| *id == batch || now - *used < UNUSED_TIME);
        let (answers, used) = batches.entry(batch).or_insert_with(|| (Arc::default(), now));
        *used = now;
        Arc::clone(answers)
    }
}
