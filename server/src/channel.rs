//! The WebSocket of a batch's page: one cursor over the fold a viewer.
//!
//! A viewer that is slow gets fewer and larger frames, or a snapshot, and never a gap; it holds up nobody else.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use engine::live::split;
use engine::{Engine, Messages, Next, Viewer};
use futures::{Sink, SinkExt, Stream, StreamExt};
use quilt::wire::{ClientFrame, ServerFrame};
use quilt::{BatchId, Offset, Step};
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::origin::RequestOrigin;
use crate::problem::Problem;
use crate::state::AppState;

/// The largest frame that a page sends, in bytes; it needs eleven.
const MAX_INCOMING_BYTES: usize = 64;

/// How much of a message is read at once. Pages say little, and each channel has a buffer of this size.
const READ_BUFFER_BYTES: usize = 512;

/// How many frames may be on their way without an acknowledgement.
const MAX_IN_FLIGHT: usize = 4;

/// How often a viewer is told how the workers are doing, and asked whether it is still there.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);

/// How often a page that follows attempts is told of them, and of the workers.
const ATTEMPTS_INTERVAL: Duration = Duration::from_millis(500);

/// How long a viewer may take to take one frame: the snapshot of a million squares over a slow line.
const FRAME_TIMEOUT: Duration = Duration::from_secs(120);

/// How long a viewer may take to say goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(160);

/// A viewer that is silent for longer is gone.
const VIEWER_TIMEOUT: Duration = Duration::from_secs(15);

/// The close code of a channel whose batch was removed. As 404, in the range that is free for applications.
const REMOVED_CLOSE_CODE: u16 = 4404;

/// `GET /batches/{id}/channel`.
pub(crate) async fn open(
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    if state.origin.classify(&headers) != RequestOrigin::SameOrigin {
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
        attempts: None,
        last_active_at: Instant::now(),
    };
    let (stopping, channels) = (state.stopping.clone(), state.channels.clone());
    Ok(upgrade
        .max_message_size(MAX_INCOMING_BYTES)
        .max_frame_size(MAX_INCOMING_BYTES)
        .read_buffer_size(READ_BUFFER_BYTES)
        // What is sent goes out at once, and leaves nothing behind.
        .write_buffer_size(0)
        .on_upgrade(move |socket: WebSocket| channels.track_future(channel.serve(socket, stopping))))
}

/// Why a channel ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The viewer left, or is not heard of any more.
    Disconnected,
    /// The viewer sent what is no frame.
    ProtocolError,
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
    /// How many events of the journal a page has read that follows attempts.
    attempts: Option<Offset>,
    last_active_at: Instant,
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
            Err(end) = self.exchange_frames(&mut sink, &mut stream) => end,
            () = batch.removed() => End::Removed,
            () = stopping.cancelled() => End::Restarting,
        };
        if let Some(code) = end.close_code() {
            let close = async {
                if sink.send(Message::Close(Some(CloseFrame { code, reason: "".into() }))).await.is_ok() {
                    // What is still on its way here would reset a connection that is closed on it, and the goodbye would be lost.
                    while let Some(Ok(_)) = stream.next().await {}
                }
            };
            // Who does not take it is gone anyway.
            let _ = timeout(CLOSE_TIMEOUT, close).await;
        }
    }

    async fn exchange_frames<E>(
        &mut self,
        sink: &mut (impl Sink<Message> + Unpin),
        stream: &mut (impl Stream<Item = Result<Message, E>> + Unpin),
    ) -> Result<Infallible, End> {
        timeout(VIEWER_TIMEOUT, self.receive_hello(stream)).await.unwrap_or(Err(End::Disconnected))?;
        let mut heartbeat = ticker(HEARTBEAT_INTERVAL);
        let mut attempts = ticker(ATTEMPTS_INTERVAL);
        let mut earliest = Instant::now();
        loop {
            let is_open = self.in_flight.len() < MAX_IN_FLIGHT;
            tokio::select! {
                message = stream.next() => match message {
                    Some(Ok(message)) => self.receive(&message)?,
                    Some(Err(_)) | None => return Err(End::Disconnected),
                },
                () = wait_for_step(&mut self.steps, self.seen, earliest), if is_open => match self.batch.next_frame(self.seen) {
                    Next::Frame(messages, step) => {
                        self.seen = Some(step);
                        self.in_flight.push(step);
                        send_frame(sink, &messages).await?;
                        // Somebody has taken all of it, which may have been long.
                        self.last_active_at = Instant::now();
                    }
                    Next::NotBefore(moment) => earliest = moment,
                },
                _ = attempts.tick(), if self.attempts.is_some() => {
                    if let Some(frame) = self.attempts() {
                        send_frame(sink, &split(frame.encode())).await?;
                        send_frame(sink, &self.status().await).await?;
                    }
                }
                _ = heartbeat.tick() => {
                    if self.last_active_at.elapsed() > VIEWER_TIMEOUT {
                        return Err(End::Disconnected);
                    }
                    send_frame(sink, &self.status().await).await?;
                    send_message(sink, Message::Ping(Bytes::new())).await?;
                }
            }
        }
    }

    /// Waits for the first frame, which says what the viewer has seen before.
    async fn receive_hello<E>(
        &mut self,
        stream: &mut (impl Stream<Item = Result<Message, E>> + Unpin),
    ) -> Result<(), End> {
        while let Some(Ok(message)) = stream.next().await {
            match message {
                Message::Binary(bytes) => {
                    let Ok(ClientFrame::Hello { from }) = ClientFrame::decode(&bytes) else {
                        return Err(End::ProtocolError);
                    };
                    // A step that is yet to come is one of another journal.
                    self.seen = from.filter(|from| *from <= *self.steps.borrow());
                    self.last_active_at = Instant::now();
                    return Ok(());
                }
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Text(_) => return Err(End::ProtocolError),
                Message::Close(_) => return Err(End::Disconnected),
            }
        }
        Err(End::Disconnected)
    }

    fn receive(&mut self, message: &Message) -> Result<(), End> {
        self.last_active_at = Instant::now();
        match message {
            Message::Binary(bytes) => match ClientFrame::decode(bytes) {
                Ok(ClientFrame::Ack { step }) => {
                    self.in_flight.retain(|sent| *sent > step);
                    Ok(())
                }
                Ok(ClientFrame::Follow { after }) => {
                    self.attempts = Some(after);
                    Ok(())
                }
                _ => Err(End::ProtocolError),
            },
            Message::Ping(_) | Message::Pong(_) => Ok(()),
            Message::Text(_) => Err(End::ProtocolError),
            Message::Close(_) => Err(End::Disconnected),
        }
    }

    /// The attempts that a page has not read, if it follows them and there are any.
    fn attempts(&mut self) -> Option<ServerFrame> {
        let known = self.attempts?;
        let (after, upto, events) = self.batch.folded().recent.since(known);
        // A page that has read the journal may be ahead of what is folded here.
        self.attempts = Some(known.max(upto));
        (after < upto).then_some(ServerFrame::Attempts { after, upto, events })
    }

    async fn status(&self) -> Messages {
        match self.batch.recent_status() {
            Some(messages) => messages,
            None => self.batch.status_frame(self.engine.load(&self.batch).await),
        }
    }
}

fn ticker(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Hands over all of a frame, each message in time, and all of them in time for who is slow.
async fn send_frame(sink: &mut (impl Sink<Message> + Unpin), messages: &Messages) -> Result<(), End> {
    let all = async {
        for message in messages.iter() {
            send_message(sink, Message::Binary(message.clone())).await?;
        }
        Ok(())
    };
    timeout(FRAME_TIMEOUT, all).await.unwrap_or(Err(End::Disconnected))
}

/// Hands a message over, unless nobody takes it.
async fn send_message(sink: &mut (impl Sink<Message> + Unpin), message: Message) -> Result<(), End> {
    match timeout(VIEWER_TIMEOUT, sink.send(message)).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(End::Disconnected),
    }
}

impl End {
    fn close_code(self) -> Option<u16> {
        match self {
            Self::Disconnected => None,
            Self::ProtocolError => Some(close_code::PROTOCOL),
            Self::Restarting => Some(close_code::RESTART),
            Self::Removed => Some(REMOVED_CLOSE_CODE),
        }
    }
}

/// Waits until there is something that was not seen, but not less than until `earliest`. Keeps no state, so that it can be dropped
/// and called again.
async fn wait_for_step(steps: &mut watch::Receiver<Step>, seen: Option<Step>, earliest: Instant) {
    if steps.wait_for(|step| seen.is_none_or(|seen| *step > seen)).await.is_err() {
        // The sender lives with the batch, and this channel holds the batch.
        std::future::pending::<()>().await;
    }
    sleep_until(earliest).await;
}
