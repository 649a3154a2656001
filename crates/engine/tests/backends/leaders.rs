//! Leaders of streams that do not have what was stored since they led.

use std::time::{Duration, Instant};

use async_nats::jetstream::Context;
use bytes::Bytes;
use engine::jetstream::{JetStream, Options};
use engine::journal::{Blobs, EventLog, JournalError, Offset, SquareDetail};
use futures::StreamExt;
use quilt::{Event, Index};

use crate::nats::Nats;
use crate::outage::{context, create, options, settled};
use crate::{PATIENCE, id, launched};

/// Has a server lead a stream.
async fn until_led_by(context: &Context, stream: &str, server: &str) {
    let started = Instant::now();
    let preferred = serde_json::json!({ "placement": { "preferred": server } });
    loop {
        let leader =
            context.get_stream(stream).await.ok().and_then(|known| known.cached_info().cluster.clone()?.leader);
        if leader.as_deref() == Some(server) {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{server} does not lead {stream}");
        let step_down = format!("STREAM.LEADER.STEPDOWN.{stream}");
        let _ = context.request::<_, _, serde_json::Value>(step_down, &preferred).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_behind_is_not_taken_for_damage() {
    let servers = Nats::start_cluster();
    let at = |server: &Nats| Options { replicas: 3, ..options(server.url()) };
    let writer = Box::pin(JetStream::connect(&at(&servers[0]))).await.expect("it will do").journal();
    let reader = Box::pin(JetStream::connect(&at(&servers[2]))).await.expect("it will do").journal();
    let signal = |signal| {
        let pid = i32::try_from(servers[2].pid()).ok().and_then(rustix::process::Pid::from_raw).expect("it runs");
        rustix::process::kill_process(pid, signal).expect("it runs");
    };
    let context = context(&servers[0]).await;
    for batch in 1..=3 {
        for stream in ["quilt-journal", "quilt-details", "quilt-bodies"] {
            until_led_by(&context, stream, "n2").await;
        }
        let input = Bytes::from(vec![batch; 1 << 20]);
        let details: Vec<_> =
            (0..64).map(|index| SquareDetail { index: Index(index), lap: 1, body: vec![batch; 9].into() }).collect();
        // Too short for its connections to be closed. It takes itself for the leader when it goes on.
        signal(rustix::process::Signal::STOP);
        let started = Instant::now();
        while create(&writer, batch, Some(input.clone())).await.is_err()
            || writer.append(id(batch), vec![settled(0..64)], details.clone()).await.is_err()
        {
            assert!(started.elapsed() < PATIENCE, "two of three are enough");
        }
        signal(rustix::process::Signal::CONT);
        let started = Instant::now();
        loop {
            let read = async {
                assert_eq!(reader.input(id(batch)).await?.as_ref(), Some(&input));
                assert_eq!(reader.details(id(batch), 0..64).await?, details);
                let mut pages = reader.follow(id(batch), Offset(0));
                let mut events = Vec::new();
                while events.len() < 2 {
                    events.extend(pages.next().await.expect("it goes on")?.events);
                }
                assert_eq!(events, [Event::Launched(launched(1)), settled(0..64)]);
                Ok(())
            };
            match read.await {
                Ok(()) => break,
                Err(error) => assert!(matches!(error, JournalError::Unavailable(_)), "{error}"),
            }
            assert!(started.elapsed() < PATIENCE, "it catches up");
        }
    }
}
