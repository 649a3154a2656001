//! The WebSocket of a batch's page, spoken to byte by byte.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use std::time::Duration;

use common::socket::{Heard, Socket, connect, hear, open, say};
use common::{Server, events, folder, launch, visitor};
use futures::{SinkExt, StreamExt};
use quilt::wire::{ClientFrame, ServerFrame};
use quilt::{Quilt, Status};
use serde_json::json;
use tokio_tungstenite::tungstenite::{Error, Message};

/// Folds what comes until the batch is over, or for `frames` frames with news. Returns the bytes that the deltas took.
async fn watch(socket: &mut Socket, quilt: &mut Option<Quilt>, frames: usize) -> usize {
    let mut bytes = 0;
    let mut heard = 0;
    while heard < frames && quilt.as_ref().is_none_or(|quilt| quilt.status() == Status::Running) {
        let Heard { frame, bytes: size, .. } = hear(socket).await.expect("the batch is not over");
        match frame {
            ServerFrame::Snapshot(snapshot) => *quilt = Some(*snapshot),
            ServerFrame::Delta { from, events } => {
                let quilt = quilt.as_mut().expect("a delta follows a snapshot");
                assert_eq!(from, quilt.step(), "no gap");
                for event in &events {
                    quilt.apply(event, &mut Vec::new());
                }
                bytes += size;
            }
            ServerFrame::Status(_) | ServerFrame::Attempts { .. } => continue,
        }
        heard += 1;
        let step = quilt.as_ref().expect("folded").step();
        say(socket, ClientFrame::Ack { step }).await;
    }
    bytes
}

#[tokio::test]
async fn a_viewer_folds_to_the_quilt_of_the_api_at_no_more_than_five_bytes_a_square() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let id = launch(&client, &server, 64, 64, json!({"duration_ms": [0, 30]})).await;
    let mut socket = open(&server, &id).await;
    say(&mut socket, ClientFrame::Hello { from: None }).await;
    let mut quilt = None;
    watch(&mut socket, &mut quilt, 1).await;
    let before = quilt.as_ref().expect("a snapshot").progress().settled();
    let bytes = watch(&mut socket, &mut quilt, usize::MAX).await;
    let quilt = quilt.expect("a snapshot");
    let settled = (quilt.progress().settled() - before) as usize;
    assert_eq!(quilt.progress().done, 4096);
    println!("{bytes} bytes for {settled} squares: {:.2} a square, frames and all", bytes as f64 / settled as f64);
    assert!(bytes <= 5 * settled, "{bytes} bytes for {settled} squares");
    for event in events(&client, &server, &id, None).await.iter().filter(|event| event.name == "square") {
        let square = serde_json::from_value(event.data.clone()).expect("a square");
        let index = quilt.grid().index(square).expect("inside");
        let quilt::SquareState::Done(color) = quilt.square(index) else { panic!("{index:?} is not done") };
        assert_eq!(event.data["color"], color.to_string());
    }
}

#[tokio::test]
async fn a_viewer_that_comes_back_goes_on_where_it_was() {
    let folder = folder();
    let server = Server::start(folder.path());
    let id = launch(&visitor(), &server, 8, 8, json!({"duration_ms": [50, 1_500]})).await;
    let mut socket = open(&server, &id).await;
    say(&mut socket, ClientFrame::Hello { from: None }).await;
    let mut quilt = None;
    watch(&mut socket, &mut quilt, 4).await;
    drop(socket);

    let step = quilt.as_ref().expect("a snapshot").step();
    let mut socket = open(&server, &id).await;
    say(&mut socket, ClientFrame::Hello { from: Some(step) }).await;
    watch(&mut socket, &mut quilt, usize::MAX).await;
    assert_eq!(quilt.expect("a snapshot").progress().done, 64);
    // A step that this batch never had is answered with a snapshot.
    let mut socket = open(&server, &id).await;
    say(&mut socket, ClientFrame::Hello { from: Some(quilt::Step(1_000_000)) }).await;
    loop {
        match hear(&mut socket).await.expect("an answer").frame {
            ServerFrame::Status(_) | ServerFrame::Attempts { .. } => {}
            ServerFrame::Snapshot(quilt) => break assert_eq!(quilt.progress().done, 64),
            ServerFrame::Delta { .. } => panic!("a delta to what was never seen"),
        }
    }
}

#[tokio::test]
async fn a_viewer_that_does_not_acknowledge_gets_four_frames_and_then_the_rest_in_one() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let id = launch(&client, &server, 8, 8, json!({"duration_ms": [0, 2_500]})).await;
    let mut socket = open(&server, &id).await;
    say(&mut socket, ClientFrame::Hello { from: None }).await;
    let mut quilt: Option<Quilt> = None;
    let mut news = 0;
    let mut silent_statuses = 0;
    // Without an acknowledgement only heartbeats come, while the batch goes on.
    while silent_statuses < 2 {
        match hear(&mut socket).await.expect("the batch is not over").frame {
            ServerFrame::Snapshot(snapshot) => {
                quilt = Some(*snapshot);
                news += 1;
            }
            ServerFrame::Delta { events, .. } => {
                for event in &events {
                    quilt.as_mut().expect("a snapshot came first").apply(event, &mut Vec::new());
                }
                news += 1;
            }
            ServerFrame::Status(_) if news >= 4 => silent_statuses += 1,
            ServerFrame::Status(_) | ServerFrame::Attempts { .. } => {}
        }
    }
    assert_eq!(news, 4);
    assert!(quilt.as_ref().expect("a snapshot").progress().pending() > 0, "there is a rest");
    events(&client, &server, &id, None).await;
    let step = quilt.as_ref().expect("a snapshot").step();
    say(&mut socket, ClientFrame::Ack { step }).await;
    watch(&mut socket, &mut quilt, 1).await;
    assert_eq!(quilt.expect("a snapshot").progress().done, 64);
}

#[tokio::test]
async fn foreign_pages_and_unknown_batches_get_no_channel() {
    let folder = folder();
    let server = Server::start(folder.path());
    let id = launch(&visitor(), &server, 1, 1, json!({})).await;
    let unknown = "0".repeat(32);
    for (id, origin, expected) in [
        (id.as_str(), None, 403),
        (&id, Some("http://evil.example"), 403),
        (&id, Some("null"), 403),
        (&unknown, Some(server.url.as_str()), 404),
        ("x", Some(server.url.as_str()), 404),
    ] {
        match connect(&server, id, origin).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), expected, "{id} from {origin:?}"),
            other => panic!("{id} from {origin:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_viewer_that_sends_what_is_no_frame_is_sent_away_alone() {
    let folder = folder();
    let server = Server::start(folder.path());
    let id = launch(&visitor(), &server, 8, 8, json!({"duration_ms": [500, 1_000]})).await;
    let mut polite = open(&server, &id).await;
    say(&mut polite, ClientFrame::Hello { from: None }).await;
    for rude in [
        Message::Binary(vec![99].into()),
        Message::Binary(Vec::new().into()),
        Message::Binary(vec![1, 0xFF, 0xFF].into()),
        Message::Binary(ClientFrame::Ack { step: quilt::Step(1) }.encode().into()),
        Message::text("hello"),
        Message::Binary(vec![0; 4_096].into()),
    ] {
        let mut socket = open(&server, &id).await;
        let is_large = rude.len() > 64;
        socket.send(rude).await.expect("the server listens");
        // Long before silence would be a reason.
        let end = tokio::time::timeout(Duration::from_secs(10), socket.next()).await.expect("it is sent away at once");
        match end {
            Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), 1002),
            // What is too large is not even read.
            other => assert!(is_large && !matches!(other, Some(Ok(_))), "{other:?}"),
        }
    }
    let mut quilt = None;
    watch(&mut polite, &mut quilt, usize::MAX).await;
    assert_eq!(quilt.expect("a snapshot").progress().done, 64);
}

#[tokio::test]
async fn a_server_that_stops_tells_its_viewers_to_come_back() {
    let folder = folder();
    let server = Server::start_with(folder.path(), &["--grace-ms", "100"]);
    let id = launch(&visitor(), &server, 2, 2, json!({"duration_ms": [60_000, 60_000]})).await;
    let mut socket = open(&server, &id).await;
    say(&mut socket, ClientFrame::Hello { from: None }).await;
    watch(&mut socket, &mut None, 1).await;
    let stopped = tokio::task::spawn_blocking(|| server.stop());
    let code = loop {
        match tokio::time::timeout(Duration::from_secs(10), socket.next()).await.expect("a goodbye") {
            Some(Ok(Message::Close(Some(frame)))) => break u16::from(frame.code),
            Some(Ok(_)) => {}
            other => panic!("{other:?} instead of a goodbye"),
        }
    };
    assert_eq!(code, 1012);
    assert!(stopped.await.expect("no panic").0.success());
}
