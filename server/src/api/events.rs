//! Streams the events of a batch as server-sent events, one per square.

use std::collections::VecDeque;

use ::api::{BatchEvent, ConcurrencyEvent, EventStatus, LapEvent, LapSet as SetName, SquareEvent, StatusEvent};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use engine::{Engine, JournalError, Viewer};
use futures::{Stream, StreamExt, stream};
use quilt::history::Entry;
use quilt::{Control, Index, LapSet, Progress, Quilt, Square, SquareState, Status, Step};
use tokio::sync::watch;

use super::document::square_of;
use super::path::BatchPath;
use crate::problem::Problem;
use crate::state::AppState;

/// Maximum number of events per read of the folded state.
const MAX_EVENTS_PER_READ: usize = 256;

/// `GET /api/batches/{id}/events`. The id of each event is the step that it led to, so that a client continues exactly where it stopped with
/// `Last-Event-ID`. The stream ends at the finish line; a request for events after it returns 204. If the events after `Last-Event-ID` are no
/// longer in the history, the stream starts with the current state of the squares, as events without ids.
pub(super) async fn follow(
    State(state): State<AppState>,
    BatchPath(id): BatchPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let batch = state.engine.open(id).await?.ok_or_else(Problem::no_such_batch)?;
    let after = last_event_id(&headers)?;
    let (step, status) = {
        let folded = batch.folded();
        (folded.quilt.step(), folded.quilt.status())
    };
    if after > step {
        return Err(not_an_event());
    }
    if after == step && status.is_over() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let viewer = batch.admit(state.max_channels).ok_or_else(|| Problem::too_many_channels(state.max_channels))?;
    let removed = viewer.batch();
    let ends = async move {
        tokio::select! {
            () = state.stopping.cancelled() => {}
            () = removed.removed() => {}
        }
    };
    let events = event_stream(state.engine, viewer, after).take_until(Box::pin(ends));
    Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Step, Problem> {
    let Some(id) = headers.get("last-event-id") else { return Ok(Step(0)) };
    let step = id.to_str().ok().and_then(|id| id.parse().ok()).map(Step);
    step.ok_or_else(not_an_event)
}

fn not_an_event() -> Problem {
    Problem::bad_request("invalid-last-event-id", "Last-Event-ID must be the id of an event of this batch")
}

/// An event that was not sent yet.
struct PendingEvent {
    event: BatchEvent,
    /// The id of the event; `None` for events of the current state.
    step: Option<Step>,
    /// The failed square of the event, whose message is in the journal, and the lap if it is known.
    failed: Option<(Index, Option<u32>)>,
}

/// The position of a client in the events.
struct Reader {
    engine: Engine,
    batch: Viewer,
    steps: watch::Receiver<Step>,
    after: Step,
    /// The next square whose current state is sent, and the step after which changes follow.
    catching_up: Option<(Index, Step)>,
    /// The events to send next.
    queue: VecDeque<PendingEvent>,
}

/// The result of a read.
enum ReadResult {
    /// The queue has new events, or the next read may find some.
    Events,
    /// There are no events at the moment.
    CaughtUp,
    /// The batch is over, and all events were read.
    End,
}

fn event_stream(engine: Engine, batch: Viewer, after: Step) -> impl Stream<Item = Result<Event, JournalError>> {
    let reader = Reader { engine, steps: batch.steps(), batch, after, catching_up: None, queue: VecDeque::new() };
    stream::try_unfold(reader, |mut reader| async move {
        loop {
            if let Some(event) = reader.queue.pop_front() {
                return Ok(Some((sse_event(&event), reader)));
            }
            match reader.read_more() {
                ReadResult::Events => reader.add_messages().await?,
                ReadResult::CaughtUp => {
                    let after = reader.after;
                    if reader.steps.wait_for(|step| *step > after).await.is_err() {
                        return Ok(None);
                    }
                }
                ReadResult::End => return Ok(None),
            }
        }
    })
}

impl Reader {
    fn read_more(&mut self) -> ReadResult {
        let batch = self.batch.batch();
        let folded = batch.folded();
        if self.catching_up.is_some() || !folded.history.reaches(self.after) {
            self.catch_up(&folded.quilt);
            return ReadResult::Events;
        }
        for (step, entry) in folded.history.entries(&folded.quilt, self.after).take(MAX_EVENTS_PER_READ) {
            self.queue.push_back(describe(&folded.quilt, entry).with_id(step));
            self.after = step;
        }
        if !self.queue.is_empty() {
            ReadResult::Events
        } else if folded.quilt.status().is_over() {
            ReadResult::End
        } else {
            ReadResult::CaughtUp
        }
    }

    /// Adds the messages of failures to the events in the queue.
    async fn add_messages(&mut self) -> Result<(), JournalError> {
        let failed: Vec<(Index, Option<u32>)> = self.queue.iter().filter_map(|event| event.failed).collect();
        if failed.is_empty() {
            return Ok(());
        }
        let messages = self.engine.messages(&self.batch, failed).await?;
        for (pending, message) in self.queue.iter_mut().filter(|event| event.failed.is_some()).zip(messages) {
            if let (BatchEvent::Square(square), Some(message)) = (&mut pending.event, message) {
                square.failed = Some(message.into());
            }
        }
        Ok(())
    }

    /// Adds the current state of the next squares to the queue. Squares that change in the meantime are sent again.
    fn catch_up(&mut self, quilt: &Quilt) {
        let (start, step) = self.catching_up.take().unwrap_or_else(|| {
            let status = match quilt.status() {
                Status::Paused => Some(status(EventStatus::Paused, None)),
                Status::Draining => Some(status(EventStatus::Draining, None)),
                Status::Running | Status::Finished | Status::Cancelled => None,
            };
            let lap = lap(quilt, quilt.lap_number(), None);
            self.queue.extend([lap, limit(quilt.limits().concurrency)].into_iter().chain(status));
            // The last event of a finished or cancelled batch is always sent with its id.
            (Index(0), Step(quilt.step().0 - u64::from(quilt.status().is_over())))
        });
        let end = Index((start.0 + MAX_EVENTS_PER_READ as u32).min(quilt.progress().tasks));
        for index in (start.0..end.0).map(Index) {
            let state = quilt.square(index);
            if matches!(state, SquareState::Done(_) | SquareState::Failed(_)) {
                self.queue.push_back(square(quilt, index, state, None));
            }
        }
        if end.0 < quilt.progress().tasks {
            self.catching_up = Some((end, step));
        } else {
            self.after = step;
        }
    }
}

impl PendingEvent {
    fn of(event: BatchEvent) -> Self {
        Self { event, step: None, failed: None }
    }

    fn with_id(self, step: Step) -> Self {
        Self { step: Some(step), ..self }
    }
}

fn status(status: EventStatus, counts: Option<Progress>) -> PendingEvent {
    let done = counts.map(|counts| counts.done);
    let failed = counts.map(|counts| counts.failed);
    let not_run = counts.map(|counts| counts.not_run).filter(|not_run| *not_run > 0);
    PendingEvent::of(BatchEvent::Status(StatusEvent { status, done, failed, not_run }))
}

fn limit(concurrency: Option<u32>) -> PendingEvent {
    PendingEvent::of(BatchEvent::Concurrency(ConcurrencyEvent { concurrency }))
}

fn square(quilt: &Quilt, index: Index, state: SquareState<'_>, lap: Option<u32>) -> PendingEvent {
    let Square { row, column } = quilt.grid().square(index);
    let pending = SquareEvent { row: row.into(), column: column.into(), color: None, failed: None, reason: None };
    match state {
        SquareState::Pending | SquareState::NotRun => PendingEvent::of(BatchEvent::Square(pending)),
        SquareState::Done(color) => {
            PendingEvent::of(BatchEvent::Square(SquareEvent { color: Some(color.into()), ..pending }))
        }
        SquareState::Failed(reason) => {
            // If the journal has no message, it is the same as the reason.
            let (failed, reason) = (Some(reason.into()), Some(reason.into()));
            let event = BatchEvent::Square(SquareEvent { failed, reason, ..pending });
            PendingEvent { failed: Some((index, lap)), ..PendingEvent::of(event) }
        }
    }
}

fn lap(quilt: &Quilt, lap: u32, set: Option<&LapSet>) -> PendingEvent {
    let (name, reason, square) = match set {
        None => (None, None, None),
        Some(LapSet::Failed) => (Some(SetName::Failed), None, None),
        Some(LapSet::Reason(reason)) => (Some(SetName::Reason), Some(reason.to_string()), None),
        Some(LapSet::NotRun) => (Some(SetName::NotRun), None, None),
        Some(list @ LapSet::Positions(_)) => {
            (Some(SetName::Squares), None, list.only().map(|position| square_of(quilt.place_of(position))))
        }
    };
    PendingEvent::of(BatchEvent::Lap(LapEvent { lap, set: name, reason, square }))
}

fn describe(quilt: &Quilt, entry: Entry<'_>) -> PendingEvent {
    match entry {
        Entry::Settled(lap, position, state) => square(quilt, quilt.order().index(position), state, Some(lap)),
        Entry::Finished(progress) => status(EventStatus::Complete, Some(progress)),
        Entry::Draining => status(EventStatus::Draining, None),
        // The counts at the end of earlier laps are unknown.
        Entry::Cancelled(lap) => status(EventStatus::Cancelled, (lap == quilt.lap_number()).then(|| quilt.progress())),
        Entry::LapStarted(number, set) => lap(quilt, number, Some(set)),
        Entry::Controlled(Control::Pause) => status(EventStatus::Paused, None),
        Entry::Controlled(Control::Resume) => status(EventStatus::Running, None),
        Entry::Controlled(Control::SetConcurrency(concurrency)) => limit(concurrency),
    }
}

/// Formats an event. Serialization never fails for these types.
fn sse_event(pending: &PendingEvent) -> Event {
    let event = pending.step.map_or_else(Event::default, |Step(step)| Event::default().id(step.to_string()));
    let event = event.event(pending.event.name());
    event.json_data(&pending.event).unwrap_or_default()
}
