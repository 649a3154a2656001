//! The WebSocket of a batch's page.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use std::time::Duration;

use common::gate::{ALLOW_LOCAL_FETCH, Gate};
use common::socket::{ReceivedFrame, Socket, connect, open, recv_frame, send_frame};
use common::{FOREVER, Server, TEST_TIMEOUT, events, folder, launch, visitor};
use futures::{SinkExt, StreamExt};
use quilt::wire::{ClientFrame, ServerFrame};
use quilt::{Quilt, Status};
use reqwest::Client;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Folds frames until the batch is over, or until `frames` snapshots and deltas were received. Returns the size of the deltas.
async fn watch(socket: &mut Socket, quilt: &mut Option<Quilt>, frames: usize) -> usize {
    let mut bytes = 0;
    let mut received = 0;
    while received < frames && quilt.as_ref().is_none_or(|quilt| quilt.status() == Status::Running) {
        let ReceivedFrame { frame, bytes: size, .. } = recv_frame(socket).await.expect("the batch is not over");
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
        received += 1;
        let step = quilt.as_ref().expect("folded").step();
        send_frame(socket, ClientFrame::Ack { step }).await;
    }
    bytes
}

#[tokio::test]
async fn a_viewer_folds_to_the_quilt_of_the_api_at_no_more_than_five_bytes_a_square() {
    let folder = folder();
    // Another batch occupies the only worker until the viewer is connected. Tasks without a duration settle many at a time, so few frames are sent.
    let server = Server::start_with(folder.path(), &["--workers", "1"]);
    let client = visitor();
    let before = launch(&client, &server, 1, 1, json!({"duration_ms": FOREVER})).await;
    let id = launch(&client, &server, 64, 64, json!({})).await;
    let mut socket = open(&server, &id).await;
    send_frame(&mut socket, ClientFrame::Hello { from: None }).await;
    let mut quilt = None;
    watch(&mut socket, &mut quilt, 1).await;
    assert_eq!(quilt.as_ref().expect("a snapshot").progress().settled(), 0);
    let cancelled = client.post(server.at(&format!("/api/batches/{before}/cancel"))).send().await.expect("an answer");
    assert_eq!(cancelled.status(), 200);
    let bytes = watch(&mut socket, &mut quilt, usize::MAX).await;
    let quilt = quilt.expect("a snapshot");
    assert_eq!(quilt.progress().done, 4096);
    println!("{bytes} bytes for 4096 squares: {:.2} a square, frames and all", bytes as f64 / 4096.0);
    assert!(bytes <= 5 * 4096, "{bytes} bytes for 4096 squares");
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
    let server = Server::start_with(folder.path(), ALLOW_LOCAL_FETCH);
    let gate = Gate::start().await;
    let id = gate.launch(&visitor(), &server, 64).await;
    let mut socket = open(&server, &id).await;
    send_frame(&mut socket, ClientFrame::Hello { from: None }).await;
    let mut quilt = None;
    watch(&mut socket, &mut quilt, 1).await;
    for settled in 1..=3 {
        gate.let_through(1);
        watch(&mut socket, &mut quilt, 1).await;
        assert_eq!(quilt.as_ref().expect("a snapshot").progress().settled(), settled);
    }
    drop(socket);

    gate.let_through(61);
    let step = quilt.as_ref().expect("a snapshot").step();
    let mut socket = open(&server, &id).await;
    send_frame(&mut socket, ClientFrame::Hello { from: Some(step) }).await;
    watch(&mut socket, &mut quilt, usize::MAX).await;
    assert_eq!(quilt.expect("a snapshot").progress().done, 64);
    // The server answers an unknown step with a snapshot.
    let mut socket = open(&server, &id).await;
    send_frame(&mut socket, ClientFrame::Hello { from: Some(quilt::Step(1_000_000)) }).await;
    loop {
        match recv_frame(&mut socket).await.expect("an answer").frame {
            ServerFrame::Status(_) | ServerFrame::Attempts { .. } => {}
            ServerFrame::Snapshot(quilt) => break assert_eq!(quilt.progress().done, 64),
            ServerFrame::Delta { .. } => panic!("a delta to what was never seen"),
        }
    }
}

async fn done(client: &Client, server: &Server, id: &str) -> u64 {
    let batch = client.get(server.at(&format!("/api/batches/{id}"))).send().await.expect("an answer");
    batch.json::<Value>().await.expect("JSON")["done"].as_u64().expect("a number")
}

#[tokio::test]
async fn a_viewer_that_does_not_acknowledge_gets_four_frames_and_then_the_rest_in_one() {
    let folder = folder();
    let server = Server::start_with(folder.path(), ALLOW_LOCAL_FETCH);
    let client = visitor();
    let gate = Gate::start().await;
    let id = gate.launch(&client, &server, 64).await;
    let mut socket = open(&server, &id).await;
    send_frame(&mut socket, ClientFrame::Hello { from: None }).await;
    let mut quilt: Option<Quilt> = None;
    let mut frames = 0;
    let mut silent_statuses = 0;
    // Without acknowledgements only heartbeats are sent, while the batch continues.
    while silent_statuses < 2 {
        match recv_frame(&mut socket).await.expect("the batch is not over").frame {
            ServerFrame::Snapshot(snapshot) => {
                quilt = Some(*snapshot);
                frames += 1;
                gate.let_through(1);
            }
            ServerFrame::Delta { events, .. } => {
                for event in &events {
                    quilt.as_mut().expect("a snapshot came first").apply(event, &mut Vec::new());
                }
                frames += 1;
                // Cause the next frame, or changes after the last frame.
                gate.let_through(if frames < 4 { 1 } else { 20 });
            }
            ServerFrame::Status(_) if frames >= 4 && done(&client, &server, &id).await == 23 => silent_statuses += 1,
            ServerFrame::Status(_) | ServerFrame::Attempts { .. } => {}
        }
    }
    assert_eq!(frames, 4);
    assert_eq!(quilt.as_ref().expect("a snapshot").progress().settled(), 3, "there is a rest");
    gate.let_through(41);
    while done(&client, &server, &id).await < 64 {
        assert!(matches!(recv_frame(&mut socket).await.expect("it goes on").frame, ServerFrame::Status(_)));
    }
    let step = quilt.as_ref().expect("a snapshot").step();
    send_frame(&mut socket, ClientFrame::Ack { step }).await;
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
    let server = Server::start_with(folder.path(), ALLOW_LOCAL_FETCH);
    let gate = Gate::start().await;
    let id = gate.launch(&visitor(), &server, 64).await;
    let mut valid = open(&server, &id).await;
    send_frame(&mut valid, ClientFrame::Hello { from: None }).await;
    let valid = tokio::spawn(async move {
        let mut quilt = None;
        watch(&mut valid, &mut quilt, usize::MAX).await;
        quilt.expect("a snapshot")
    });
    for invalid in [
        Message::Binary(vec![99].into()),
        Message::Binary(Vec::new().into()),
        Message::Binary(vec![1, 0xFF, 0xFF].into()),
        Message::Binary(ClientFrame::Ack { step: quilt::Step(1) }.encode().into()),
        Message::text("hello"),
    ] {
        let mut socket = open(&server, &id).await;
        socket.send(invalid.clone()).await.expect("the server listens");
        match tokio::time::timeout(TEST_TIMEOUT, socket.next()).await.expect("it is sent away") {
            Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), 1002, "{invalid:?}"),
            other => panic!("{invalid:?}: {other:?}"),
        }
    }
    let mut socket = open(&server, &id).await;
    send_frame(&mut socket, ClientFrame::Hello { from: None }).await;
    socket.send(Message::Binary(vec![0; 4_096].into())).await.expect("the server listens");
    // The connection is closed because of the size of the message: the pings prevent a timeout.
    let sent_away = async {
        loop {
            match tokio::time::timeout(Duration::from_secs(1), socket.next()).await {
                Ok(Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_)))) => {}
                Ok(Some(Ok(other))) => panic!("{other:?}"),
                Ok(Some(Err(_)) | None) => return,
                Err(_) if socket.send(Message::Ping(Vec::new().into())).await.is_err() => return,
                Err(_) => {}
            }
        }
    };
    tokio::time::timeout(TEST_TIMEOUT, sent_away).await.expect("it is sent away");
    gate.let_through(64);
    assert_eq!(valid.await.expect("no panic").progress().done, 64);
}

#[tokio::test]
async fn a_server_that_stops_tells_its_viewers_to_come_back() {
    let folder = folder();
    let server = Server::start_with(folder.path(), &["--grace-ms", "100"]);
    let id = launch(&visitor(), &server, 2, 2, json!({"duration_ms": FOREVER})).await;
    let mut socket = open(&server, &id).await;
    send_frame(&mut socket, ClientFrame::Hello { from: None }).await;
    watch(&mut socket, &mut None, 1).await;
    let stopped = tokio::task::spawn_blocking(|| server.stop());
    let code = loop {
        match tokio::time::timeout(TEST_TIMEOUT, socket.next()).await.expect("a goodbye") {
            Some(Ok(Message::Close(Some(frame)))) => break u16::from(frame.code),
            Some(Ok(_)) => {}
            other => panic!("{other:?} instead of a goodbye"),
        }
    };
    assert_eq!(code, 1012);
    assert!(stopped.await.expect("no panic").0.success());
}
