//! The bodies of requests: how large they may be, and what becomes of those that nobody wants.
//!
//! A request may be answered before its body is read, for example because it is too large. Closing the connection on bytes that nobody
//! read would reset it, and the answer could get lost with it. So what a handler leaves of a body is read and thrown away,
//! up to a point.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, stream};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::problem::Problem;
use crate::state::AppState;

/// How long the next piece of a body may take to come.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// How long somebody may go on sending what nobody wants.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// How many bytes of it are read.
const MAX_DRAINED_BYTES: usize = 64 << 20;

/// A layer that refuses a body that is too large, at once where it says so itself, else as soon as it turns out to be; and one that does not
/// come.
pub(crate) async fn limit_body(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let max_body = if is_launch(&request) { state.max_input } else { state.max_body };
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > max_body) {
        return Problem::body_too_large(max_body).into_response();
    }
    // Those that may be large are few at the same time: each is held in memory as a whole.
    let _permit = match max_body > state.max_body && length.is_none_or(|length| length > state.max_body) {
        true => state.large_bodies.acquire_owned().await.ok(),
        false => None,
    };
    let refusal = Arc::new(OnceLock::new());
    let refused = Arc::clone(&refusal);
    let limit = |body: Body| {
        if body.is_end_stream() {
            return body;
        }
        let pieces = stream::try_unfold((body.into_data_stream(), max_body), move |(mut body, left)| {
            let refused = Arc::clone(&refused);
            let refuse = move |problem: Problem| axum::Error::new(refused.get_or_init(|| problem).clone());
            async move {
                let Ok(piece) = timeout(READ_TIMEOUT, body.next()).await else {
                    return Err(refuse(Problem::body_too_slow(READ_TIMEOUT)));
                };
                let Some(piece) = piece.transpose()? else { return Ok(None) };
                match left.checked_sub(piece.len()) {
                    Some(left) => Ok(Some((piece, (body, left)))),
                    None => Err(refuse(Problem::body_too_large(max_body))),
                }
            }
        });
        Body::from_stream(pieces)
    };
    let response = next.run(request.map(limit)).await;
    // Whoever read it knows only that it broke off.
    match refusal.get() {
        Some(problem) => problem.clone().into_response(),
        None => response,
    }
}

/// Whether a request launches a batch, and may bring a list or an image along.
fn is_launch(request: &Request) -> bool {
    request.method() == Method::POST && matches!(request.uri().path(), "/api/batches" | "/actions/launch")
}

/// A layer that reads on where a handler stops.
pub(crate) async fn drain_body(request: Request, next: Next) -> Response {
    let wrap = |body: Body| {
        if body.is_end_stream() { body } else { Body::from_stream(DrainOnDrop(Some(body.into_data_stream()))) }
    };
    next.run(request.map(wrap)).await
}

/// What has not been read of a body; nothing once its end was seen.
struct DrainOnDrop(Option<BodyDataStream>);

impl Stream for DrainOnDrop {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        let polled = body.poll_next_unpin(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.0 = None;
        }
        polled
    }
}

impl Drop for DrainOnDrop {
    fn drop(&mut self) {
        let rest = self.0.take().filter(|body| !body.is_end_stream());
        // There is no runtime any more where the process is ending.
        if let (Some(rest), Ok(runtime)) = (rest, Handle::try_current()) {
            runtime.spawn(timeout(DRAIN_TIMEOUT, drain(rest)));
        }
    }
}

async fn drain(mut body: BodyDataStream) {
    let mut left = MAX_DRAINED_BYTES;
    while let Some(Ok(chunk)) = body.next().await {
        let Some(rest) = left.checked_sub(chunk.len()) else { return };
        left = rest;
    }
}
