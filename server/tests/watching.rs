//! What a page loads besides the squares: the journal, attempts and pictures.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use common::gate::{ALLOW_LOCAL_FETCH, Gate};
use common::socket::{ReceivedFrame, Socket, open, recv_frame, send_frame};
use common::{Server, events, folder, launch, visitor};
use quilt::wire::{ClientFrame, FramedEvent, ServerFrame};
use quilt::{Event, Offset, Quilt, Race, Timestamp};
use reqwest::Client;
use serde_json::json;

/// Opens a channel without a known step.
async fn open_with_hello(server: &Server, id: &str) -> Socket {
    let mut socket = open(server, id).await;
    send_frame(&mut socket, ClientFrame::Hello { from: None }).await;
    socket
}

async fn journal(client: &Client, server: &Server, id: &str, after: u64) -> Vec<Event> {
    let response = client.get(server.at(&format!("/api/batches/{id}/journal?after={after}"))).send().await;
    let bytes = response.expect("an answer").bytes().await.expect("a journal");
    let mut rest = &*bytes;
    std::iter::from_fn(|| FramedEvent::take(&mut rest).expect("whole").map(|event| event.decode().expect("readable")))
        .collect()
}

#[tokio::test]
async fn the_journal_folds_to_the_quilt_and_goes_on_behind_any_event() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let id = launch(&client, &server, 16, 16, json!({"failure_rate": 0.3})).await;
    let received = events(&client, &server, &id, None).await;
    let all = journal(&client, &server, &id, 0).await;
    let Some(Event::Launched(launched)) = all.first() else { panic!("a journal starts with its launch") };
    let mut quilt = Quilt::new(launched.clone());
    all.iter().for_each(|event| quilt.apply(event, &mut Vec::new()));
    assert_eq!(quilt.progress().pending(), 0);
    assert_eq!(received.last().expect("a finish").data["failed"], quilt.progress().failed);
    assert_eq!(journal(&client, &server, &id, 2).await, all[2..]);
    assert_eq!(journal(&client, &server, &id, all.len() as u64).await, []);
    assert_eq!(journal(&client, &server, &id, u64::MAX).await, []);
    for (path, expected) in [
        (format!("/api/batches/{}/journal", "0".repeat(32)), 404),
        (format!("/api/batches/{id}/journal?after=-1"), 400),
        (format!("/api/batches/{id}/journal?before=1"), 400),
    ] {
        assert_eq!(client.get(server.at(&path)).send().await.expect("an answer").status(), expected, "{path}");
    }
}

#[tokio::test]
async fn a_page_that_follows_attempts_is_told_of_each_behind_what_it_has_read() {
    let folder = folder();
    let server = Server::start_with(folder.path(), ALLOW_LOCAL_FETCH);
    let client = visitor();
    let gate = Gate::start().await;
    let id = gate.launch(&client, &server, 64).await;
    let mut socket = open_with_hello(&server, &id).await;
    let mut race = Race::new(64, Timestamp(0));
    let read = journal(&client, &server, &id, 0).await;
    read.iter().for_each(|event| race.apply(event));
    let mut offset = Offset(read.len() as u64);
    send_frame(&mut socket, ClientFrame::Follow { after: offset }).await;
    let mut has_seen_running = false;
    while race.lanes().iter().map(|lane| lane.attempts).sum::<u32>() < 64 {
        match recv_frame(&mut socket).await.expect("it goes on").frame {
            ServerFrame::Attempts { after, upto, events } => {
                assert_eq!(after, offset, "no gap");
                events.iter().for_each(|event| race.apply(event));
                offset = upto;
            }
            ServerFrame::Status(load) => {
                if load.running() > 0 && !has_seen_running {
                    has_seen_running = true;
                    gate.let_through(64);
                }
                assert_eq!(load.slots(), 1_024);
                assert!(load.is_complete());
            }
            _ => {}
        }
    }
    assert!(has_seen_running, "the status contains running tasks");
    let all = journal(&client, &server, &id, 0).await;
    assert!(offset.0 <= all.len() as u64);
    // A viewer that does not follow attempts receives none.
    let mut silent = open_with_hello(&server, &id).await;
    for _ in 0..3 {
        assert!(!matches!(recv_frame(&mut silent).await.expect("it goes on").frame, ServerFrame::Attempts { .. }));
    }
}

#[tokio::test]
async fn a_large_snapshot_comes_in_messages_that_leave_nothing_behind() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let id = launch(&client, &server, 512, 512, json!({})).await;
    events(&client, &server, &id, None).await;
    let mut socket = open_with_hello(&server, &id).await;
    loop {
        let ReceivedFrame { frame, messages, .. } = recv_frame(&mut socket).await.expect("it goes on");
        if let ServerFrame::Snapshot(quilt) = frame {
            assert_eq!(quilt.progress().done, 512 * 512);
            assert!(messages > 90, "{messages} messages");
            break;
        }
    }
}

#[tokio::test]
async fn a_picture_is_as_large_as_it_is_asked_to_be_and_asked_for_once() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let id = launch(&client, &server, 100, 50, json!({"duration_ms": [0, 5]})).await;
    let picture = |query: &str| client.get(server.at(&format!("/batches/{id}/quilt.png{query}")));
    let running = picture("?at=1").send().await.expect("an answer");
    assert_eq!(running.headers()["cache-control"], "no-cache");
    events(&client, &server, &id, None).await;
    let response = picture("?side=20").send().await.expect("an answer");
    assert_eq!(response.headers()["content-type"], "image/png");
    let tag = response.headers()["etag"].clone();
    let transparent =
        picture("?side=20&pending=transparent").header("if-none-match", tag.clone()).send().await.expect("an answer");
    assert_eq!(transparent.status(), 200);
    assert_ne!(transparent.headers()["etag"], tag);
    let bytes = response.bytes().await.expect("a picture");
    // Width and height follow the signature and the header of the first chunk.
    let side = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    assert_eq!((side(16), side(20)), (10, 20));
    // The picture of a finished batch with its end time is immutable.
    let batch: serde_json::Value = client
        .get(server.at(&format!("/api/batches/{id}")))
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    let finished_at = batch["finished_at"].as_str().expect("it is finished");
    let at = time::OffsetDateTime::parse(finished_at, &time::format_description::well_known::Rfc3339).expect("a time");
    let lasting = picture(&format!("?at={}", at.unix_timestamp_nanos() / 1_000_000)).send().await.expect("an answer");
    assert!(lasting.headers()["cache-control"].to_str().expect("ASCII").contains("immutable"));
    let (url, tag_of_lasting) = (lasting.url().clone(), lasting.headers()["etag"].clone());
    let lasting = client.get(url).header("if-none-match", tag_of_lasting).send().await.expect("an answer");
    assert_eq!(lasting.status(), 304);
    assert!(lasting.headers()["cache-control"].to_str().expect("ASCII").contains("immutable"));
    let again = picture("?side=20").header("if-none-match", tag).send().await.expect("an answer");
    assert_eq!(again.status(), 304);
    for (query, expected) in
        [("?side=0", 400), ("?side=4097", 400), ("?side=x", 400), ("?size=9", 400), ("?pending=blue", 400), ("", 200)]
    {
        let answer = picture(query).send().await.expect("an answer");
        assert_eq!(answer.status(), expected, "{query}");
    }
    let unknown = server.at(&format!("/batches/{}/quilt.png", "0".repeat(32)));
    assert_eq!(client.get(unknown).send().await.expect("an answer").status(), 404);
}
