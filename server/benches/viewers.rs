//! Measures many viewers of one running batch: the delay from the end of a task to its square, and the CPU time and memory of the server.
//!
//! The server is a separate process. The viewers share this process, whose CPU time is printed as well. `VIEWERS` is their number, and
//! `SIDE` the number of rows and columns.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a measurement that cannot go on has failed"
)]

#[path = "../tests/common/mod.rs"]
mod common;
mod shared;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::{Server, folder, visitor};
use futures::{SinkExt, StreamExt};
use quilt::wire::{Assembler, ClientFrame, FramedEvent, ServerFrame};
use quilt::{Event, Quilt, Status};
use reqwest::Client;
use serde_json::json;
use shared::{cpu, launch, memory, number};
use tokio::task::JoinSet;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// What one viewer received.
struct Seen {
    /// The time at which each position was received, in milliseconds since 1970; 0 if it was in the first snapshot.
    at: Vec<u64>,
    frames: u64,
    bytes: u64,
}

#[tokio::main]
async fn main() {
    let viewers = number("VIEWERS", 1_000);
    let side = number("SIDE", 100);
    // Each end of a connection needs a file descriptor.
    rlimit::increase_nofile_limit(4 * viewers + 1_000).expect("enough files");
    let folder = folder();
    let server = Server::start_with(folder.path(), &["--max-channels", &viewers.to_string()]);
    let client = visitor();
    // Run one task at a time until all viewers are connected.
    let spec =
        json!({"work": {"kind": "color", "duration_ms": [0, 100]}, "rows": side, "columns": side, "concurrency": 1});
    let id = launch(&client, &server, &spec).await;

    let before = memory(server.pid());
    let mut watching = JoinSet::new();
    for _ in 0..viewers {
        watching.spawn(watch(server.url.clone(), id.clone(), side * side));
        // Limit the rate of connections, which is not part of the measurement.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = memory(server.pid());

    let (server_cpu, own_cpu, started) = (cpu(server.pid()), cpu(std::process::id()), Instant::now());
    let path = server.at(&format!("/api/batches/{id}"));
    client.patch(path).json(&json!({"concurrency": null})).send().await.expect("an answer");
    let mut peak = idle;
    let mut seen = Vec::new();
    while !watching.is_empty() {
        tokio::select! {
            one = watching.join_next() => seen.extend(one.map(|one| one.expect("no panic"))),
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
        peak = peak.max(memory(server.pid()));
    }
    let took = started.elapsed().as_secs_f64();
    let (server_cpu, own_cpu) = (cpu(server.pid()) - server_cpu, cpu(std::process::id()) - own_cpu);

    let ended = ended(&client, &server, &id, side * side).await;
    let mut lags: Vec<u64> = seen
        .iter()
        .flat_map(|seen| {
            seen.at.iter().zip(&ended).filter(|(at, _)| **at > 0).map(|(at, ended)| at.saturating_sub(*ended))
        })
        .collect();
    lags.sort_unstable();
    let lag = |share: f64| lags.get((lags.len() as f64 * share) as usize).copied().unwrap_or_default();
    let mean = |of: fn(&Seen) -> u64| seen.iter().map(of).sum::<u64>() as f64 / seen.len() as f64;
    let each = |bytes: u64| bytes.saturating_sub(before) as f64 / 1024.0 / viewers as f64;
    println!("{viewers} viewers of one batch of {} tasks, {took:.1} s, all saw the finish", side * side);
    println!(
        "  lag from the end of a task to its square   p50 {} ms, p99 {} ms, most {} ms",
        lag(0.5),
        lag(0.99),
        lag(0.999_999)
    );
    println!(
        "  frames a viewer                            {:.0}, with {:.1} KiB",
        mean(|seen| seen.frames),
        mean(|seen| seen.bytes) / 1024.0
    );
    println!("  memory a viewer                            {:.1} KiB idle, {:.1} KiB at most", each(idle), each(peak));
    println!(
        "  CPU of the server                          {server_cpu:.1} s, {:.0} us a frame",
        server_cpu * 1e6 / (mean(|seen| seen.frames) * viewers as f64)
    );
    println!("  CPU of the viewers                         {own_cpu:.1} s");
}

/// Watches a batch until its finish line.
async fn watch(url: String, id: String, tasks: u64) -> Seen {
    let address = format!("{}/batches/{id}/channel", url.replacen("http", "ws", 1));
    let mut request = address.into_client_request().expect("an address");
    request.headers_mut().insert("origin", url.parse().expect("ASCII"));
    let (mut socket, _) = connect_async(request).await.expect("there is room");
    socket.send(Message::Binary(ClientFrame::Hello { from: None }.encode().into())).await.expect("the server listens");
    let mut seen = Seen { at: vec![0; tasks as usize], frames: 0, bytes: 0 };
    let mut quilt: Option<Quilt> = None;
    let mut assembler = Assembler::default();
    let mut changes = Vec::new();
    loop {
        let Message::Binary(message) = socket.next().await.expect("it is not over").expect("a message") else {
            continue;
        };
        seen.bytes += message.len() as u64;
        match assembler.receive(&message).expect("a frame") {
            Some(ServerFrame::Snapshot(snapshot)) => quilt = Some(*snapshot),
            Some(ServerFrame::Delta { from, events }) => {
                let quilt = quilt.as_mut().expect("a snapshot comes first");
                assert_eq!(from, quilt.step(), "no gap");
                let now = now();
                for event in &events {
                    quilt.apply(event, &mut changes);
                    if let Event::Settled { settlements, .. } = event {
                        for settlement in settlements {
                            if let Some(at) = seen.at.get_mut(settlement.position.0 as usize) {
                                *at = now;
                            }
                        }
                    }
                }
                changes.clear();
            }
            Some(ServerFrame::Status(_) | ServerFrame::Attempts { .. }) | None => continue,
        }
        seen.frames += 1;
        let quilt = quilt.as_ref().expect("it was folded");
        let ack = ClientFrame::Ack { step: quilt.step() };
        socket.send(Message::Binary(ack.encode().into())).await.expect("the server listens");
        if quilt.status() == Status::Finished {
            return seen;
        }
    }
}

/// Returns the end of the task at each position, from the journal.
async fn ended(client: &Client, server: &Server, id: &str, tasks: u64) -> Vec<u64> {
    let response = client.get(server.at(&format!("/api/batches/{id}/journal"))).send().await.expect("an answer");
    let journal = response.bytes().await.expect("a journal");
    let mut rest = &*journal;
    let mut ended = vec![0; tasks as usize];
    while let Some(event) = FramedEvent::take(&mut rest).expect("readable") {
        if let Event::Attempted { runs, .. } = event.decode().expect("readable") {
            for run in runs {
                for position in run.positions() {
                    if let Some(ended) = ended.get_mut(position as usize) {
                        *ended = run.started_at.0 + u64::from(run.took_ms);
                    }
                }
            }
        }
    }
    ended
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_millis() as u64
}
