//! A batch's events as they happen, one for each square, over server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use engine::Viewer;
use futures::{Stream, StreamExt, stream};
use quilt::history::Entry;
use quilt::{Color, Progress, Quilt, Square, SquareState, Status, Step};
use serde::Serialize;
use tokio::sync::watch;

use super::batches::parse_id;
use crate::problem::Problem;
use crate::routes::AppState;

/// The most events that are made at once.
const PAGE: usize = 256;

/// `GET /api/batches/{id}/events`. The id of each event is the step that it led to, so that `Last-Event-ID` gets exactly the
/// rest. The stream ends at the finish line; who asks for what comes after it is told that there is nothing.
pub(super) async fn follow(
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let batch = state.engine.open(parse_id(&id)?).await?.ok_or_else(Problem::no_such_batch)?;
    let after = last_event_id(&headers)?;
    let (step, status) = {
        let folded = batch.folded();
        (folded.quilt.step(), folded.quilt.status())
    };
    if after > step {
        return Err(not_an_event());
    }
    if after == step && status != Status::Running {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let viewer = batch.admit(state.max_channels).ok_or_else(|| Problem::too_many_channels(state.max_channels))?;
    let events = squares(viewer, after).take_until(state.stopping.cancelled_owned());
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
    let reader = Reader { steps: batch.steps(), batch, after, made: VecDeque::new() };
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
        let folded = self.batch.folded();
        for (step, entry) in folded.history.entries(&folded.quilt, self.after).take(PAGE) {
            let (name, data) = describe(&folded.quilt, entry);
            let event = Event::default().id(step.0.to_string()).event(name);
            // Plain numbers and texts can always be written.
            self.made.extend(event.json_data(data));
            self.after = step;
        }
        if !self.made.is_empty() {
            Found::Events
        } else if folded.quilt.status() == Status::Running {
            Found::NothingYet
        } else {
            Found::TheEnd
        }
    }
}

/// The data of an event, in the order in which its members are written.
#[derive(Serialize)]
#[serde(untagged)]
enum Data<'quilt> {
    Done { row: u16, column: u16, color: Color },
    Failed { row: u16, column: u16, failed: &'quilt str },
    Pending { row: u16, column: u16 },
    Status { status: &'static str, done: u32, failed: u32 },
    Lap { lap: u32 },
}

fn describe<'quilt>(quilt: &'quilt Quilt, entry: Entry<'quilt>) -> (&'static str, Data<'quilt>) {
    let status = |status, Progress { done, failed, .. }: Progress| ("status", Data::Status { status, done, failed });
    match entry {
        Entry::Settled(position, state) => {
            let Square { row, column } = quilt.grid().square(quilt.order().index(position));
            let data = match state {
                SquareState::Done(color) => Data::Done { row, column, color },
                SquareState::Failed(failed) => Data::Failed { row, column, failed },
                SquareState::Pending => Data::Pending { row, column },
            };
            ("square", data)
        }
        Entry::Finished(progress) => status("complete", progress),
        Entry::Cancelled => status("cancelled", quilt.progress()),
        Entry::LapStarted(lap) => ("lap", Data::Lap { lap }),
    }
}
