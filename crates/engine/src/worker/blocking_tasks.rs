//! Runs the tasks of a chunk that compute, on a thread of their own.

use std::pin::{Pin, pin};
use std::sync::Arc;

use quilt::Position;
use tokio::time::sleep_until;

use super::blocking_thread::{BlockingThread, Returned, Shared, Tasks, ThreadEnd};
use super::chunk_run::{ChunkRun, Tried};
use crate::journal::JournalError;
use crate::live::Pending;
use crate::work::BlockingWork;

impl ChunkRun<'_> {
    /// Runs the pending tasks. The last results may not be written yet when this returns.
    pub(super) async fn run_blocking(&mut self, work: &Arc<dyn BlockingWork>) -> Result<Tried, JournalError> {
        let mut tried = Tried { has_waited: true, ..Tried::default() };
        let _waiting = self.batch.estimate.wait();
        let pending = self.batch.pending(self.assignment.lease().positions());
        let mut left = pending.as_slice();
        // A thread ends early if a task exceeds its time limit, or if the lease has to be confirmed.
        while let Some(first) = left.first().filter(|first| first.position < self.end) {
            if tried.tasks > 0 {
                self.write().await?;
            }
            let is_stopping = self.worker.context.stopping.is_cancelled();
            if is_stopping || !self.batch.is_running() || !self.may_start().await? {
                self.give_back_from(first.position);
                break;
            }
            let (end, returned) = self.run_thread(work, left.to_vec()).await?;
            tried.tasks += returned;
            left = left.get(returned as usize..).unwrap_or_default();
            let unrecorded = left.first().map_or(self.end, |task| task.position);
            match end {
                ThreadEnd::Returned => {}
                ThreadEnd::Cancelled | ThreadEnd::NeverRan => {
                    self.give_back_from(unrecorded);
                    break;
                }
                ThreadEnd::Unresponsive { thread, task, started, error } => {
                    self.record(task, started, started.elapsed(), Err(error));
                    self.give_back_from(Position(task.position.0 + 1));
                    self.worker.status.end();
                    tried.tasks += 1;
                    tried.unresponsive = Some(thread);
                    break;
                }
            }
        }
        tried.elapsed = self.last_ended - self.started.1;
        Ok(tried)
    }

    /// Runs tasks on a thread, and records their results. Meanwhile results are written, and the following tasks are released if the chunk
    /// takes too long. Returns the number of tasks that have returned.
    async fn run_thread(
        &mut self,
        work: &Arc<dyn BlockingWork>,
        pending: Vec<Pending>,
    ) -> Result<(ThreadEnd, u32), JournalError> {
        let (batch, context) = (self.batch, &self.worker.context);
        let tasks = Tasks {
            batch: Arc::clone(batch),
            work: Arc::clone(work),
            validity: Arc::clone(self.assignment.validity()),
            status: Arc::clone(&self.worker.status),
            pending,
            of_chunk: self.task(),
            time: self.time(),
            started: self.started,
        };
        let thread = BlockingThread::spawn(tasks, self.end);
        let shared = thread.shared();
        let cancelled = batch.cancellation(self.lap()).child_token();
        let mut ended = pin!(thread.ended(context.interrupted(&cancelled), context.stopping.cancelled()));
        let mut returned = 0;
        let mut is_cut = false;
        loop {
            tokio::select! {
                biased;
                end = &mut ended => return Ok((end, returned + self.collect(&shared))),
                () = shared.due() => {
                    returned += self.collect(&shared);
                    let (end, written) = self.write_beside(ended.as_mut(), &shared, &mut is_cut).await;
                    match (end, written) {
                        (None, Ok(())) => {}
                        (Some(end), Ok(())) => return Ok((end, returned + self.collect(&shared))),
                        (end, Err(error)) => {
                            // The results cannot be stored. The thread must not outlive its chunk.
                            cancelled.cancel();
                            let end = match end {
                                Some(end) => end,
                                None => ended.await,
                            };
                            if let ThreadEnd::Unresponsive { thread, .. } = end {
                                context.stopping.run_until_cancelled(thread).await;
                            }
                            return Err(error);
                        }
                    }
                }
                () = sleep_until(self.overtime), if !is_cut => {
                    is_cut = true;
                    self.give_back_from(shared.cut());
                }
            }
        }
    }

    /// Writes the results so far. While the journal is away, the thread starts no more tasks than otherwise. Returns how the thread ended if
    /// it did meanwhile.
    async fn write_beside(
        &mut self,
        mut ended: Pin<&mut impl Future<Output = ThreadEnd>>,
        shared: &Shared,
        is_cut: &mut bool,
    ) -> (Option<ThreadEnd>, Result<(), JournalError>) {
        let overtime = self.overtime;
        let mut cut = None;
        let written = {
            let mut writing = pin!(self.write());
            loop {
                tokio::select! {
                    biased;
                    end = &mut ended => break (Some(end), writing.await),
                    written = &mut writing => break (None, written),
                    () = sleep_until(overtime), if !*is_cut => {
                        *is_cut = true;
                        cut = Some(shared.cut());
                    }
                }
            }
        };
        if let Some(cut) = cut {
            self.give_back_from(cut);
        }
        written
    }

    /// Records the results of the thread so far, and returns their number.
    fn collect(&mut self, shared: &Shared) -> u32 {
        let returned = shared.collect();
        let count = returned.len() as u32;
        for Returned { task, started, ended, result } in returned {
            self.last_ended = ended;
            self.record(task, started, ended - started, result);
        }
        count
    }
}
