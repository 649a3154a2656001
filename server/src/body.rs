//! Limits the bodies of requests, and drains unread ones.
//!
//! A handler may respond before it has read the body, for example because the body is too large. Closing a connection with unread data
//! would reset it, and the client could lose the response. So the rest of the body is read and discarded, up to a limit.

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

/// Timeout for the next chunk of a body.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// How long an unread body is drained.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// How many bytes of an unread body are drained.
const MAX_DRAINED_BYTES: usize = 64 << 20;

/// Middleware that refuses a body that is too large or too slow. It checks `Content-Length` first, and then the bytes as they arrive.
pub(crate) async fn limit_body(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let max_body = if is_launch(&request) { state.max_input } else { state.max_body };
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > max_body) {
        return Problem::body_too_large(max_body).into_response();
    }
    // Large bodies are buffered completely, so their number is limited. A body without a length may be large.
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
    // The handler only knows that reading failed, so its response is replaced.
    match refusal.get() {
        Some(problem) => problem.clone().into_response(),
        None => response,
    }
}

/// Whether a request launches a batch. It may contain a list or an image, so it has a larger limit.
fn is_launch(request: &Request) -> bool {
    request.method() == Method::POST && matches!(request.uri().path(), "/api/batches" | "/actions/launch")
}

/// Middleware that drains what the handler leaves of a body.
pub(crate) async fn drain_body(request: Request, next: Next) -> Response {
    let wrap = |body: Body| {
        if body.is_end_stream() { body } else { Body::from_stream(DrainOnDrop(Some(body.into_data_stream()))) }
    };
    next.run(request.map(wrap)).await
}

/// A body whose unread rest is drained on drop; `None` after its end or an error.
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
        // Without a runtime the process is exiting.
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
