//! What another program changed on a NATS server is an error, and never another value.

use async_nats::HeaderMap;
use async_nats::jetstream::{self, Context, message::StreamMessage};
use bytes::Bytes;
use engine::journal::{Blobs, Damage, EventLog, JournalError, Offset, SquareDetail, Stored};
use futures::StreamExt;
use quilt::{Color, Event, Index, Outcome, Position, Settlement, Timestamp};

use crate::nats::Nats;
use crate::{OWNER, connect, id, launched};

fn done(position: u32) -> Event {
    let settlements = vec![Settlement { position: Position(position), outcome: Outcome::Done(Color::from_rgb(7)) }];
    Event::Settled { lap: 1, at: Timestamp(1), settlements }
}

async fn last(context: &Context, stream: &str, subject: &str) -> StreamMessage {
    let stream = context.get_stream(stream).await.expect("it is there");
    stream.get_last_raw_message_by_subject(subject).await.expect("it is there")
}

/// Stores the last message of a subject once more, with one bit of its body flipped.
async fn store_changed(context: &Context, stream: &str, subject: String) {
    let StreamMessage { payload, headers, .. } = last(context, stream, &subject).await;
    let mut changed = payload.to_vec();
    *changed.last_mut().expect("not empty") ^= 1;
    let mut kept = HeaderMap::new();
    for name in ["Quilt-Crc32c", "Quilt-Lap"] {
        if let Some(value) = headers.get(name) {
            kept.insert(name, value.clone());
        }
    }
    let stored = context.publish_with_headers(subject, kept, changed.into()).await.expect("it is sent");
    stored.await.expect("it is stored");
}

fn reason<T: std::fmt::Debug>(result: Result<T, JournalError>) -> Damage {
    match result {
        Err(JournalError::Damaged { batch, reason }) if batch == id(1) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_message_detail_or_input_is_told() {
    let nats = Nats::start();
    let journal = connect(&nats).await.journal();
    let context = jetstream::new(async_nats::connect(nats.url()).await.expect("it listens"));
    let input = Some(Bytes::from_static(b"a list"));
    journal.create(id(1), OWNER, launched(1), input.clone()).await.expect("it answers");
    let detail = SquareDetail { index: Index(5), lap: 1, body: "a detail".into() };
    let sequence = journal.append(id(1), vec![done(1)], vec![detail.clone()]).await.expect("it answers");
    assert_eq!(journal.details(id(1), 0..9).await.expect("intact"), [detail]);
    assert_eq!(journal.input(id(1)).await.expect("intact"), input);

    store_changed(&context, "quilt-details", format!("quilt.details.{}.5", id(1))).await;
    assert_eq!(reason(journal.details(id(1), 0..9).await), Damage::Checksum(Stored::Detail(Index(5))));

    store_changed(&context, "quilt-journal", format!("quilt.journal.{}", id(1))).await;
    let mut pages = journal.follow(id(1), Offset(0));
    let page = loop {
        match pages.next().await.expect("it goes on") {
            Ok(page) if !page.caught_up => {}
            page => break page,
        }
    };
    assert_eq!(reason(page), Damage::Checksum(Stored::Message(sequence.0 + 1)));

    let part = last(&context, "quilt-bodies", &format!("quilt.bodies.{}.>", id(1))).await;
    store_changed(&context, "quilt-bodies", part.subject.to_string()).await;
    assert_eq!(reason(journal.input(id(1)).await), Damage::Checksum(Stored::Input));
}
