//! The WebSocket of a batch's page. Each viewer has its own cursor over the folded state of the batch.
//!
//! A slow viewer receives fewer and larger frames, or a snapshot. It misses no changes and does not delay other viewers.

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

/// Maximum size of a frame from a viewer. The largest valid one has 11 bytes.
const MAX_INCOMING_BYTES: usize = 64;

/// Size of the read buffer of each channel. Viewers send only small frames.
const READ_BUFFER_BYTES: usize = 512;

/// Maximum number of unacknowledged frames.
const MAX_IN_FLIGHT: usize = 4;

/// How often a viewer receives the status of the workers and a ping.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);

/// How often a viewer that follows attempts receives new attempts and the status of the workers.
const ATTEMPTS_INTERVAL: Duration = Duration::from_millis(500);

/// Timeout for sending one frame. It suffices for the snapshot of a million squares over a slow connection.
const FRAME_TIMEOUT: Duration = Duration::from_secs(120);

/// How long to wait for the close handshake.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(160);

/// A viewer that sends nothing for longer, or does not accept a message in this time, counts as disconnected.
const VIEWER_TIMEOUT: Duration = Duration::from_secs(15);

/// The close code for a deleted batch: 404 in the range for applications.
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
        // Flush every message immediately, so that no buffer is retained per channel.
        .write_buffer_size(0)
        .on_upgrade(move |socket: WebSocket| channels.track_future(channel.serve(socket, stopping))))
}

/// Why a channel ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The viewer closed the connection, or timed out.
    Disconnected,
    /// The viewer sent an invalid frame.
    ProtocolError,
    /// The server is stopping. Pages should reconnect.
    Restarting,
    /// The batch was deleted. Pages should not reconnect.
    Removed,
}

struct Channel {
    batch: Viewer,
    engine: Engine,
    steps: watch::Receiver<Step>,
    /// The step that the last sent frame leads to.
    seen: Option<Step>,
    /// The steps of unacknowledged frames.
    in_flight: Vec<Step>,
    /// The journal offset up to which the viewer knows the attempts; `None` if it does not follow attempts.
    attempts: Option<Offset>,
    /// When the viewer last sent a message, or accepted a frame completely.
    last_active_at: Instant,
}

impl Channel {
    /// Serves one viewer until it disconnects, the batch is deleted, or the server stops.
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
                    // Closing a connection with unread data would reset it, and the close frame could be lost.
                    while let Some(Ok(_)) = stream.next().await {}
                }
            };
            // After a timeout the connection is dropped without a handshake.
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
                        // A long frame can take more than `VIEWER_TIMEOUT` to send, which is not inactivity.
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

    /// Waits for the first frame, which has the last step that the viewer knows, if any.
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
                    // A step in the future belongs to another journal, so the viewer needs a snapshot.
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

    /// Returns the attempts that are new for the viewer; `None` if there are none, or it does not follow attempts.
    fn attempts(&mut self) -> Option<ServerFrame> {
        let known = self.attempts?;
        let (after, upto, events) = self.batch.folded().recent.since(known);
        // A page that has read the journal may be ahead of the fold of this node.
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

/// Sends all messages of a frame within [`FRAME_TIMEOUT`].
async fn send_frame(sink: &mut (impl Sink<Message> + Unpin), messages: &Messages) -> Result<(), End> {
    let all = async {
        for message in messages.iter() {
            send_message(sink, Message::Binary(message.clone())).await?;
        }
        Ok(())
    };
    timeout(FRAME_TIMEOUT, all).await.unwrap_or(Err(End::Disconnected))
}

/// Sends a message within [`VIEWER_TIMEOUT`].
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

/// Waits until there is a step after `seen`, and at least until `earliest`. Cancel-safe.
async fn wait_for_step(steps: &mut watch::Receiver<Step>, seen: Option<Step>, earliest: Instant) {
    if steps.wait_for(|step| seen.is_none_or(|seen| *step > seen)).await.is_err() {
        // Unreachable: the batch owns the sender, and this channel holds the batch.
        std::future::pending::<()>().await;
    }
    sleep_until(earliest).await;
}
