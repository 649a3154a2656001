//! A thread that runs blocking tasks of a chunk, one after another. A handover between threads costs more than a short task.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quilt::{Position, Timestamp};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::attempt::{too_slow, unstoppable};
use super::status::WorkerStatus;
use super::write_buffer::{FLUSH_INTERVAL, MAX_BYTES};
use crate::dispatch::Validity;
use crate::live::{LiveBatch, Pending};
use crate::work::{BlockingWork, Detail, Done, Task, TaskContext, TaskError};

/// How long a task has to return after its deadline or cancellation.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// What the thread needs to run tasks.
pub(super) struct Tasks {
    pub(super) batch: Arc<LiveBatch>,
    pub(super) work: Arc<dyn BlockingWork>,
    pub(super) validity: Arc<Validity>,
    pub(super) status: Arc<WorkerStatus>,
    /// The tasks in the order in which they run.
    pub(super) pending: Vec<Pending>,
    /// A task of the chunk. Only its index and its attempt differ from the others.
    pub(super) of_chunk: Task,
    /// The time limit of each task.
    pub(super) time: Duration,
    /// The same moment on both clocks.
    pub(super) started: (Timestamp, Instant),
}

/// A task that has returned.
pub(super) struct Returned {
    pub(super) task: Pending,
    pub(super) started: Instant,
    pub(super) ended: Instant,
    pub(super) result: Result<Done, TaskError>,
}

/// How the thread ended.
pub(super) enum ThreadEnd {
    /// It has run its tasks, or those before a task that must not start now.
    Returned,
    /// The batch was cancelled, or the process is shutting down. What ran is discarded.
    Cancelled,
    /// The runtime starts no more threads because the process is shutting down.
    NeverRan,
    /// A task ignores its deadline or its cancellation, and still runs. The error is the outcome to record.
    Unresponsive { thread: JoinHandle<()>, task: Pending, started: Instant, error: TaskError },
}

/// Whether the thread goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Halt {
    /// It does.
    No,
    /// It ends after the running task.
    Soon,
    /// It ends after the running task, whose result is discarded.
    Discard,
}

struct State {
    returned: Vec<Returned>,
    /// The size of their details.
    bytes: usize,
    running: Option<(Pending, Instant)>,
    /// The position of the task that was started last, or is to be started first.
    current: Position,
    /// Tasks from this position on do not start.
    end: Position,
    halt: Halt,
}

impl State {
    /// When the results must be written. `None` if there are none.
    fn due(&self) -> Option<Instant> {
        let first = self.returned.first()?.ended;
        Some(if self.bytes >= MAX_BYTES { first } else { first + FLUSH_INTERVAL })
    }
}

/// The state that the thread shares with its worker.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Notified when the wait for the next collection has to be computed again: at a first result, and when results have become large.
    has_changed: Notify,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the results so far.
    pub(super) fn collect(&self) -> Vec<Returned> {
        let mut state = self.state();
        state.bytes = 0;
        std::mem::take(&mut state.returned)
    }

    /// Waits until results must be written.
    pub(super) async fn due(&self) {
        loop {
            // The permit of a notification may be older than the last collection.
            let due = self.state().due();
            let Some(due) = due else {
                self.has_changed.notified().await;
                continue;
            };
            tokio::select! {
                biased;
                () = sleep_until(due) => return,
                () = self.has_changed.notified() => {}
            }
        }
    }

    /// Starts no tasks after the running one, or after the first one. Returns the position from which on none starts.
    pub(super) fn cut(&self) -> Position {
        let mut state = self.state();
        state.end = state.end.min(Position(state.current.0 + 1));
        state.end
    }

    /// Notes the result of a task. Returns whether the thread goes on.
    fn note(&self, returned: Returned) -> bool {
        let mut state = self.state();
        state.running = None;
        if state.halt == Halt::Discard {
            return false;
        }
        let was_due = state.due();
        state.bytes += returned.result.as_ref().map_or(0, |done| done.detail.as_ref().map_or(0, Detail::bytes));
        state.returned.push(returned);
        if state.due() != was_due {
            self.has_changed.notify_one();
        }
        state.halt == Halt::No
    }

    /// Notes that a task starts. Returns `false` if it must not.
    fn start(&self, task: Pending, now: Instant) -> bool {
        let mut state = self.state();
        // Results that are not collected yet, because the journal is away, must not fill the memory.
        let starts = state.halt == Halt::No && task.position < state.end && state.bytes < 4 * MAX_BYTES;
        if starts {
            state.running = Some((task, now));
            state.current = task.position;
        }
        starts
    }
}

/// A running thread.
pub(super) struct BlockingThread {
    shared: Arc<Shared>,
    /// Cancelled when the running task must return. The thread ends then.
    token: CancellationToken,
    thread: JoinHandle<()>,
    time: Duration,
}

impl BlockingThread {
    /// Starts a thread that runs tasks up to a position.
    pub(super) fn spawn(tasks: Tasks, end: Position) -> Self {
        let current = tasks.pending.first().map_or(end, |task| task.position);
        let state = State { returned: Vec::new(), bytes: 0, running: None, current, end, halt: Halt::No };
        let shared = Arc::new(Shared { state: Mutex::new(state), has_changed: Notify::new() });
        let token = CancellationToken::new();
        let time = tasks.time;
        let of_thread = (Arc::clone(&shared), token.clone());
        let thread = tokio::task::spawn_blocking(move || run(&tasks, &of_thread.0, of_thread.1));
        Self { shared, token, thread, time }
    }

    /// The state that is shared with the thread.
    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Waits for the end of the thread. Stops it when a task exceeds its time limit, when `cancelled` completes, and, after the running
    /// task, when `stopping` completes.
    pub(super) async fn ended(
        mut self,
        cancelled: impl Future<Output = ()>,
        stopping: impl Future<Output = ()>,
    ) -> ThreadEnd {
        let mut cancelled = std::pin::pin!(cancelled);
        let mut stopping = std::pin::pin!(stopping);
        let mut is_stopping = false;
        let is_too_slow = loop {
            let running = self.shared.state().running;
            // Checked again then, because other tasks have been started since.
            let deadline = running.map_or_else(Instant::now, |(_, started)| started) + self.time;
            tokio::select! {
                biased;
                ended = &mut self.thread => return if ended.is_ok() { ThreadEnd::Returned } else { ThreadEnd::NeverRan },
                () = &mut cancelled => break false,
                () = &mut stopping, if !is_stopping => {
                    is_stopping = true;
                    self.halt(Halt::Soon);
                }
                () = sleep_until(deadline) => {
                    let mut state = self.shared.state();
                    if state.running.is_some_and(|(_, started)| started + self.time <= Instant::now()) {
                        state.halt = Halt::Soon;
                        break true;
                    }
                }
            }
        };
        if !is_too_slow {
            self.halt(Halt::Discard);
        }
        self.token.cancel();
        if timeout(STOP_GRACE, &mut self.thread).await.is_ok() {
            return if is_too_slow { ThreadEnd::Returned } else { ThreadEnd::Cancelled };
        }
        let running = {
            let mut state = self.shared.state();
            state.halt = Halt::Discard;
            state.running
        };
        match running {
            Some((task, started)) => {
                let error = unstoppable(is_too_slow.then_some(self.time));
                let thread = self.thread;
                let thread = tokio::spawn(async { drop(thread.await) });
                ThreadEnd::Unresponsive { thread, task, started, error }
            }
            // It is between two tasks, or was never started.
            None => {
                self.thread.abort();
                ThreadEnd::Cancelled
            }
        }
    }

    fn halt(&self, halt: Halt) {
        self.shared.state().halt = halt;
    }
}

/// The body of the thread.
fn run(tasks: &Tasks, shared: &Shared, token: CancellationToken) {
    let Tasks { batch, work, validity, status, pending, of_chunk, time, started } = tasks;
    let mut now = Instant::now();
    let mut context = TaskContext { deadline: now, cancelled: token };
    for pending in pending {
        if !batch.is_running() || !validity.holds() || !shared.start(*pending, now) {
            return;
        }
        let Pending { position, index, attempt } = *pending;
        status.start(position, attempt, started.0.plus_millis((now - started.1).as_millis() as u64));
        context.deadline = now + *time;
        let task = Task { index, attempt, ..*of_chunk };
        let result = batch.panics.catch(&task, || work.run(task, &context)).flatten();
        let ended = Instant::now();
        status.end();
        // A result after the deadline is too late, whatever it is.
        let result = if ended >= context.deadline { Err(too_slow(*time)) } else { result };
        if !shared.note(Returned { task: *pending, started: now, ended, result }) {
            return;
        }
        now = ended;
    }
}
