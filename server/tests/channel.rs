//! The WebSocket of a batch's page, spoken to byte by byte.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use std::time::Duration;

use common::gate::{Gate, MAY_FETCH};
use common::socket::{Heard, Socket, connect, hear, open, say};
use common::{FOREVER, PATIENCE, Server, events, folder, launch, visitor};
use futures::{SinkExt, StreamExt};
use quilt::wire::{ClientFrame, ServerFrame};
use quilt::{Quilt, Status};
use reqwest::Client;
use serde_json::{Value, json};
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
    // The one worker is held until the viewer is there. Tasks that do not wait settle many at a time, and it takes few frames to tell of them.
    let server = Server::start_with(folder.path(), &["--workers", "1"]);
    let client = visitor();
    let before = launch(&client, &server, 1, 1, json!({"duration_ms": FOREVER})).await;
    let id = launch(&client, &server, 64, 64, json!({})).await;
    let mut socket = open(&server, &id).await;
    say(&mut socket, ClientFrame::Hello { from: None }).await;
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
    let server = Server::start_with(folder.path(), MAY_FETCH);
    let gate = Gate::start().await;
    let id = gate.launch(&visitor(), &server, 64).await;
    let mut socket = open(&server, &id).await;
    say(&mut socket, ClientFrame::Hello { from: None }).await;
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

async fn done(client: &Client, server: &Server, id: &str) -> u64 {
    let batch = client.get(server.at(&format!("/api/batches/{id}"))).send().await.expect("an answer");
    batch.json::<Value>().await.expect("JSON")["done"].as_u64().expect("a number")
}

#[tokio::test]
async fn a_viewer_that_does_not_acknowledge_gets_four_frames_and_then_the_rest_in_one() {
    let folder = folder();
    let server = Server::start_with(folder.path(), MAY_FETCH);
    let client = visitor();
    let gate = Gate::start().await;
    let id = gate.launch(&client, &server, 64).await;
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
                gate.let_through(1);
            }
            ServerFrame::Delta { events, .. } => {
                for event in &events {
                    quilt.as_mut().expect("a snapshot came first").apply(event, &mut Vec::new());
                }
                news += 1;
                // The next frame, and after the last one what there is none for.
                gate.let_through(if news < 4 { 1 } else { 20 });
            }
            ServerFrame::Status(_) if news >= 4 && done(&client, &server, &id).await == 23 => silent_statuses += 1,
            ServerFrame::Status(_) | ServerFrame::Attempts { .. } => {}
        }
    }
    assert_eq!(news, 4);
    assert_eq!(quilt.as_ref().expect("a snapshot").progress().settled(), 3, "there is a rest");
    gate.let_through(41);
    while done(&client, &server, &id).await < 64 {
        assert!(matches!(hear(&mut socket).await.expect("it goes on").frame, ServerFrame::Status(_)));
    }
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
    let server = Server::start_with(folder.path(), MAY_FETCH);
    let gate = Gate::start().await;
    let id = gate.launch(&visitor(), &server, 64).await;
    let mut polite = open(&server, &id).await;
    say(&mut polite, ClientFrame::Hello { from: None }).await;
    let polite = tokio::spawn(async move {
        let mut quilt = None;
        watch(&mut polite, &mut quilt, usize::MAX).await;
        quilt.expect("a snapshot")
    });
    for rude in [
        Message::Binary(vec![99].into()),
        Message::Binary(Vec::new().into()),
        Message::Binary(vec![1, 0xFF, 0xFF].into()),
        Message::Binary(ClientFrame::Ack { step: quilt::Step(1) }.encode().into()),
        Message::text("hello"),
    ] {
        let mut socket = open(&server, &id).await;
        socket.send(rude.clone()).await.expect("the server listens");
        match tokio::time::timeout(PATIENCE, socket.next()).await.expect("it is sent away") {
            Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), 1002, "{rude:?}"),
            other => panic!("{rude:?}: {other:?}"),
        }
    }
    let mut socket = open(&server, &id).await;
    say(&mut socket, ClientFrame::Hello { from: None }).await;
    socket.send(Message::Binary(vec![0; 4_096].into())).await.expect("the server listens");
    // What is too large is not even read. It is for this, and not for its silence: it says something again and again.
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
    tokio::time::timeout(PATIENCE, sent_away).await.expect("it is sent away");
    gate.let_through(64);
    assert_eq!(polite.await.expect("no panic").progress().done, 64);
}

#[tokio::test]
async fn a_server_that_stops_tells_its_viewers_to_come_back() {
    let folder = folder();
    let server = Server::start_with(folder.path(), &["--grace-ms", "100"]);
    let id = launch(&visitor(), &server, 2, 2, json!({"duration_ms": FOREVER})).await;
    let mut socket = open(&server, &id).await;
    say(&mut socket, ClientFrame::Hello { from: None }).await;
    watch(&mut socket, &mut None, 1).await;
    let stopped = tokio::task::spawn_blocking(|| server.stop());
    let code = loop {
        match tokio::time::timeout(PATIENCE, socket.next()).await.expect("a goodbye") {
            Some(Ok(Message::Close(Some(frame)))) => break u16::from(frame.code),
            Some(Ok(_)) => {}
            other => panic!("{other:?} instead of a goodbye"),
        }
    };
    assert_eq!(code, 1012);
    assert!(stopped.await.expect("no panic").0.success());
}
