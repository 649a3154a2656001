//! The WebSocket of a batch's page: one cursor over the fold a viewer.
//!
//! A viewer that is slow gets fewer and larger frames, or a snapshot, and never a gap; it holds up nobody else.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use engine::{Engine, Viewer};
use futures::{Sink, SinkExt, Stream, StreamExt};
use quilt::wire::{ClientFrame, Load, ServerFrame};
use quilt::{BatchId, Step};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::origin::Sender;
use crate::problem::Problem;
use crate::routes::AppState;

/// The largest frame that a page sends, in bytes; it needs eleven.
const MAX_INCOMING: usize = 64;

/// How many frames may be on their way without an acknowledgement.
const MAX_IN_FLIGHT: usize = 4;

/// The shortest time between two frames with news: about a frame on a screen.
const FRAME: Duration = Duration::from_millis(16);

/// How often a viewer is told how the workers are doing, and asked whether it is still there.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// A viewer that is silent for longer is gone.
const SILENCE: Duration = Duration::from_secs(15);

/// The close code of a channel whose batch was removed. As 404, in the range that is free for applications.
const REMOVED: u16 = 4404;

/// `GET /batches/{id}/channel`.
pub(crate) async fn open(
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    if state.origin.sender(&headers) != Sender::Own {
        return Err(Problem::foreign_origin());
    }
    let id: BatchId = id.parse().map_err(|_| Problem::no_such_batch())?;
    let batch = state.engine.open(id).await?.ok_or_else(Problem::no_such_batch)?;
    let batch = batch.admit(state.max_channels).ok_or_else(|| Problem::too_many_channels(state.max_channels))?;
    let channel = Channel {
        steps: batch.steps(),
        batch,
        engine: state.engine.clone(),
        seen: None,
        in_flight: Vec::with_capacity(MAX_IN_FLIGHT),
        heard: Instant::now(),
    };
    let (stopping, channels) = (state.stopping.clone(), state.channels.clone());
    Ok(upgrade
        .max_message_size(MAX_INCOMING)
        .max_frame_size(MAX_INCOMING)
        .on_upgrade(move |socket: WebSocket| channels.track_future(channel.serve(socket, stopping))))
}

/// Why a channel ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The viewer left, or is not heard of any more.
    Gone,
    /// The viewer sent what is no frame.
    Misbehaved,
    /// The server is stopping, and a page does well to come back.
    Restarting,
    /// The batch was removed, and there is nothing to come back to.
    Removed,
}

struct Channel {
    batch: Viewer,
    engine: Engine,
    steps: watch::Receiver<Step>,
    /// The step up to which frames were sent.
    seen: Option<Step>,
    /// The steps of frames that were not acknowledged yet.
    in_flight: Vec<Step>,
    heard: Instant,
}

impl Channel {
    /// Serves one viewer until it is gone or the server stops.
    async fn serve<S, E>(mut self, socket: S, stopping: CancellationToken)
    where
        S: Stream<Item = Result<Message, E>> + Sink<Message> + Unpin,
    {
        let (mut sink, mut stream) = socket.split();
        let batch = self.batch.batch();
        let end = tokio::select! {
            end = self.talk(&mut sink, &mut stream) => end,
            () = batch.removed() => End::Removed,
            () = stopping.cancelled() => End::Restarting,
        };
        if let Some(code) = end.close_code() {
            let goodbye = Message::Close(Some(CloseFrame { code, reason: "".into() }));
            // Who does not take it is gone anyway.
            let _ = timeout(FRAME * 10, sink.send(goodbye)).await;
        }
    }

    async fn talk<E>(
        &mut self,
        sink: &mut (impl Sink<Message> + Unpin),
        stream: &mut (impl Stream<Item = Result<Message, E>> + Unpin),
    ) -> End {
        match timeout(SILENCE, self.hello(stream)).await {
            Ok(Ok(())) => {}
            Ok(Err(end)) => return end,
            Err(_) => return End::Gone,
        }
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next_frame = Instant::now();
        loop {
            let is_open = self.in_flight.len() < MAX_IN_FLIGHT;
            let outgoing = tokio::select! {
                message = stream.next() => {
                    match message {
                        Some(Ok(message)) => if let Err(end) = self.receive(&message) { return end },
                        Some(Err(_)) | None => return End::Gone,
                    }
                    continue;
                }
                () = news(&mut self.steps, self.seen, next_frame), if is_open => {
                    next_frame = Instant::now() + FRAME;
                    vec![self.next_frame()]
                }
                _ = heartbeat.tick() => {
                    if self.heard.elapsed() > SILENCE {
                        return End::Gone;
                    }
                    vec![self.load().encode(), Vec::new()]
                }
            };
            for bytes in outgoing {
                let message =
                    if bytes.is_empty() { Message::Ping(bytes.into()) } else { Message::Binary(bytes.into()) };
                if !matches!(timeout(SILENCE, sink.send(message)).await, Ok(Ok(()))) {
                    return End::Gone;
                }
            }
        }
    }

    /// Waits for the first frame, which says what the viewer has seen before.
    async fn hello<E>(&mut self, stream: &mut (impl Stream<Item = Result<Message, E>> + Unpin)) -> Result<(), End> {
        while let Some(Ok(message)) = stream.next().await {
            match message {
                Message::Binary(bytes) => {
                    let Ok(ClientFrame::Hello { from }) = ClientFrame::decode(&bytes) else {
                        return Err(End::Misbehaved);
                    };
                    // A step that is yet to come is one of another journal.
                    self.seen = from.filter(|from| *from <= *self.steps.borrow());
                    self.heard = Instant::now();
                    return Ok(());
                }
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Text(_) => return Err(End::Misbehaved),
                Message::Close(_) => return Err(End::Gone),
            }
        }
        Err(End::Gone)
    }

    fn receive(&mut self, message: &Message) -> Result<(), End> {
        self.heard = Instant::now();
        match message {
            Message::Binary(bytes) => match ClientFrame::decode(bytes) {
                Ok(ClientFrame::Ack { step }) => {
                    self.in_flight.retain(|sent| *sent > step);
                    Ok(())
                }
                _ => Err(End::Misbehaved),
            },
            Message::Ping(_) | Message::Pong(_) => Ok(()),
            Message::Text(_) => Err(End::Misbehaved),
            Message::Close(_) => Err(End::Gone),
        }
    }

    /// What the viewer has not seen, as a delta or, where that would be larger, as a snapshot.
    fn next_frame(&mut self) -> Vec<u8> {
        let folded = self.batch.folded();
        let step = folded.quilt.step();
        let all = u64::from(folded.quilt.progress().tasks);
        let is_near = |seen: &Step| step.0.saturating_sub(seen.0) <= all && folded.history.reaches(*seen);
        let bytes = match self.seen.filter(is_near) {
            Some(from) => ServerFrame::Delta { from, events: folded.history.events(&folded.quilt, from) }.encode(),
            None => ServerFrame::encode_snapshot(&folded.quilt),
        };
        self.seen = Some(step);
        self.in_flight.push(step);
        bytes
    }

    fn load(&self) -> ServerFrame {
        let (workers, stuck) = (self.engine.workers(), self.engine.stuck());
        ServerFrame::Status(Load { now: engine::now(), workers, busy: self.batch.busy(), stuck })
    }
}

impl End {
    fn close_code(self) -> Option<u16> {
        match self {
            Self::Gone => None,
            Self::Misbehaved => Some(close_code::PROTOCOL),
            Self::Restarting => Some(close_code::RESTART),
            Self::Removed => Some(REMOVED),
        }
    }
}

/// Waits until there is something that was not seen, but not less than until `earliest`. Keeps no state, so that it can be dropped
/// and called again.
async fn news(steps: &mut watch::Receiver<Step>, seen: Option<Step>, earliest: Instant) {
    if steps.wait_for(|step| seen.is_none_or(|seen| *step > seen)).await.is_err() {
        // The sender lives with the batch, and this channel holds the batch.
        std::future::pending::<()>().await;
    }
    sleep_until(earliest).await;
}
