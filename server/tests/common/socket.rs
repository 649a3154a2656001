//! A client for the channel of a batch.

use futures::{SinkExt, StreamExt};
use quilt::wire::{Assembler, ClientFrame, MAX_MESSAGE, ServerFrame};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{Server, TEST_TIMEOUT};

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(crate) async fn connect(server: &Server, id: &str, origin: Option<&str>) -> Result<Socket, Error> {
    let url = format!("{}/batches/{id}/channel", server.url.replace("http://", "ws://"));
    let mut request = url.into_client_request().expect("an address");
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", origin.parse().expect("ASCII"));
    }
    connect_async(request).await.map(|(socket, _)| socket)
}

pub(crate) async fn open(server: &Server, id: &str) -> Socket {
    connect(server, id, Some(&server.url)).await.expect("an own page may connect")
}

pub(crate) async fn send_frame(socket: &mut Socket, frame: ClientFrame) {
    socket.send(Message::Binary(frame.encode().into())).await.expect("the server listens");
}

/// A frame, with its size and its number of messages.
pub(crate) struct ReceivedFrame {
    pub(crate) frame: ServerFrame,
    pub(crate) bytes: usize,
    pub(crate) messages: usize,
}

/// Receives the next frame; `None` if the connection is closed.
pub(crate) async fn recv_frame(socket: &mut Socket) -> Option<ReceivedFrame> {
    let mut assembler = Assembler::default();
    let (mut bytes, mut messages) = (0, 0);
    loop {
        match tokio::time::timeout(TEST_TIMEOUT, socket.next()).await.expect("the server is not silent")? {
            Ok(Message::Binary(message)) => {
                assert!(message.len() <= MAX_MESSAGE);
                bytes += message.len();
                messages += 1;
                if let Some(frame) = assembler.receive(&message).expect("a frame") {
                    return Some(ReceivedFrame { frame, bytes, messages });
                }
            }
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}
