//! A batch's events as they happen, one for each square, over server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;

use ::api::{BatchEvent, ConcurrencyEvent, EventStatus, LapEvent, SquareEvent, StatusEvent};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use engine::Viewer;
use futures::{Stream, StreamExt, stream};
use quilt::history::Entry;
use quilt::{Control, Index, Progress, PutBack, Quilt, Square, SquareState, Status, Step};
use tokio::sync::watch;

use super::document::{Shown, square_of};
use super::path::BatchPath;
use crate::problem::Problem;
use crate::state::AppState;

/// The most events that are made at once.
const PAGE: usize = 256;

/// `GET /api/batches/{id}/events`. The id of each event is the step that it led to, so that `Last-Event-ID` gets exactly the
/// rest. The stream ends at the finish line; who asks for what comes after it is told that there is nothing. Who is so far behind that what
/// came since is no longer known one by one is told the squares as they stand, without ids.
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
    let events = squares(viewer, after).take_until(Box::pin(ends));
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

/// How far a reader is.
struct Reader {
    batch: Viewer,
    steps: watch::Receiver<Step>,
    after: Step,
    /// The next square to tell as it stands, and the step behind which changes are told again.
    catching_up: Option<(Index, Step)>,
    made: VecDeque<Event>,
}

/// What a reader finds when it looks for more.
enum Found {
    Events,
    /// There will be more.
    NothingYet,
    /// The batch is over, and all was read.
    TheEnd,
}

fn squares(batch: Viewer, after: Step) -> impl Stream<Item = Result<Event, Infallible>> {
    let reader = Reader { steps: batch.steps(), batch, after, catching_up: None, made: VecDeque::new() };
    stream::unfold(reader, |mut reader| async move {
        loop {
            if let Some(event) = reader.made.pop_front() {
                return Some((Ok(event), reader));
            }
            match reader.look_for_more() {
                Found::Events => {}
                Found::NothingYet => {
                    let after = reader.after;
                    reader.steps.wait_for(|step| *step > after).await.ok()?;
                }
                Found::TheEnd => return None,
            }
        }
    })
}

impl Reader {
    fn look_for_more(&mut self) -> Found {
        let batch = self.batch.batch();
        let folded = batch.folded();
        if self.catching_up.is_some() || !folded.history.reaches(self.after) {
            self.catch_up(&folded.quilt);
            return Found::Events;
        }
        for (step, entry) in folded.history.entries(&folded.quilt, self.after).take(PAGE) {
            self.made.extend(written(&describe(&folded.quilt, entry), Some(step)));
            self.after = step;
        }
        if !self.made.is_empty() {
            Found::Events
        } else if folded.quilt.status().is_over() {
            Found::TheEnd
        } else {
            Found::NothingYet
        }
    }

    /// Tells some squares as they stand. Those that change meanwhile are told again.
    fn catch_up(&mut self, quilt: &Quilt) {
        let (start, step) = self.catching_up.take().unwrap_or_else(|| {
            let first = [lap(quilt, quilt.lap_number(), PutBack::All), limit(quilt.concurrency())];
            let paused = (quilt.status() == Status::Paused).then(|| status(EventStatus::Paused, None));
            self.made.extend(first.iter().chain(&paused).filter_map(|event| written(event, None)));
            // How a batch ended is told in any case.
            (Index(0), Step(quilt.step().0 - u64::from(quilt.status().is_over())))
        });
        let end = Index((start.0 + PAGE as u32).min(quilt.progress().tasks));
        for index in (start.0..end.0).map(Index) {
            let state = quilt.square(index);
            if !matches!(state, SquareState::Pending) {
                self.made.extend(written(&square(quilt, index, state), None));
            }
        }
        if end.0 < quilt.progress().tasks {
            self.catching_up = Some((end, step));
        } else {
            self.after = step;
        }
    }
}

fn status(status: EventStatus, counts: Option<Progress>) -> BatchEvent {
    let (done, failed) = counts.map(|Progress { tasks: _, done, failed }| (done, failed)).unzip();
    BatchEvent::Status(StatusEvent { status, done, failed })
}

fn limit(concurrency: Option<u32>) -> BatchEvent {
    BatchEvent::Concurrency(ConcurrencyEvent { concurrency })
}

fn square(quilt: &Quilt, index: Index, state: SquareState<'_>) -> BatchEvent {
    let Square { row, column } = quilt.grid().square(index);
    let Shown { state: _, color, failed } = Shown::from(state.outcome());
    BatchEvent::Square(SquareEvent { row: row.into(), column: column.into(), color, failed })
}

fn lap(quilt: &Quilt, lap: u32, put_back: PutBack) -> BatchEvent {
    let square = match put_back {
        PutBack::All => None,
        PutBack::One(position) => Some(square_of(quilt.place_of(position))),
    };
    BatchEvent::Lap(LapEvent { lap, square })
}

fn describe(quilt: &Quilt, entry: Entry<'_>) -> BatchEvent {
    match entry {
        Entry::Settled(position, state) => square(quilt, quilt.order().index(position), state),
        Entry::Finished(progress) => status(EventStatus::Complete, Some(progress)),
        Entry::Cancelled => status(EventStatus::Cancelled, Some(quilt.progress())),
        Entry::LapStarted(number, put_back) => lap(quilt, number, put_back),
        Entry::Controlled(Control::Pause) => status(EventStatus::Paused, None),
        Entry::Controlled(Control::Resume) => status(EventStatus::Running, None),
        Entry::Controlled(Control::SetConcurrency(concurrency)) => limit(concurrency),
    }
}

/// An event with a name and data. Plain numbers and texts can always be written.
fn written(event: &BatchEvent, id: Option<Step>) -> Option<Event> {
    let numbered = id.map_or_else(Event::default, |Step(step)| Event::default().id(step.to_string()));
    numbered.event(event.name()).json_data(event).ok()
}
