//! All followers of a node share one consumer on NATS, and none of them misses or repeats an event, whatever happens to it.

use std::time::Instant;

use async_nats::jetstream::{self, Context};
use engine::jetstream::JetStreamJournal;
use engine::journal::{EventLog, EventPage, JournalError, Offset};
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::BoxStream;
use quilt::{AttemptRun, Color, Event, Outcome, Position, Settlement, Timestamp};

use crate::nats::Nats;
use crate::{OWNER, PATIENCE, connect, id, launched};

const BATCHES: u8 = 50;

/// How many events each batch gets besides its launch.
const EVENTS: u32 = 40;

fn done(position: u32) -> Event {
    let outcome = Outcome::Done(Color::from_rgb(position));
    let settlements = vec![Settlement { position: Position(position), outcome }];
    Event::Settled { lap: 1, at: Timestamp(1), settlements }
}

async fn context(nats: &Nats) -> Context {
    jetstream::new(async_nats::connect(nats.url()).await.expect("it listens"))
}

async fn consumers(context: &Context) -> usize {
    let stream = context.get_stream("quilt-journal").await.expect("it is there");
    stream.get_info().await.expect("it answers").state.consumer_count
}

/// Deletes all consumers of the stream.
async fn delete_consumers(context: &Context) {
    let stream = context.get_stream("quilt-journal").await.expect("it is there");
    let names: Vec<_> = stream.consumer_names().collect().await;
    for name in names {
        // It may be deleted already.
        let _ = stream.delete_consumer(&name.expect("it answers")).await;
    }
}

type Pages = BoxStream<'static, Result<EventPage, JournalError>>;

/// Opens a batch, and reads what is there.
async fn open(journal: &JetStreamJournal, batch: u8) -> (Pages, Vec<Event>) {
    let mut pages = journal.follow(id(batch), Offset(0));
    let page = pages.next().await.expect("it goes on").expect("readable");
    assert!(page.caught_up);
    (pages, page.events)
}

/// Reads a batch up to its last event.
async fn read((mut pages, mut events): (Pages, Vec<Event>)) -> Vec<Event> {
    while events.last() != Some(&done(EVENTS)) {
        events.extend(pages.next().await.expect("it goes on").expect("readable").events);
    }
    events
}

async fn append(journal: &JetStreamJournal, batch: u8, number: u32) {
    while let Err(error) = journal.append(id(batch), vec![done(number)], Vec::new()).await {
        assert!(matches!(error, JournalError::Unavailable(_)), "{error}");
    }
}

/// What a follower reads that misses nothing and gets nothing twice.
fn all() -> Vec<Event> {
    std::iter::once(Event::Launched(launched(1))).chain((1..=EVENTS).map(done)).collect()
}

async fn create_all(journal: &JetStreamJournal) {
    let created = (1..=BATCHES).map(|batch| journal.create(id(batch), OWNER, launched(1), None));
    for created in join_all(created).await {
        created.expect("it answers");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_consumers_does_not_depend_on_the_number_of_batches() {
    let nats = Nats::start();
    let journal = connect(&nats).await.journal();
    let context = context(&nats).await;
    create_all(&journal).await;
    let opened = join_all((1..=BATCHES).map(|batch| open(&journal, batch))).await;
    let followers = join_all(opened.into_iter().map(read));
    let work = async {
        for number in 1..=EVENTS {
            join_all((1..=BATCHES).map(|batch| append(&journal, batch, number))).await;
            match number {
                10 => assert_eq!(consumers(&context).await, 1, "for {BATCHES} batches"),
                // Once with nothing to read, once while messages come.
                20 => delete_consumers(&context).await,
                21 => drop(tokio::join!(delete_consumers(&context), append(&journal, 1, EVENTS + 1))),
                _ => {}
            }
        }
    };
    let (read, ()) = tokio::join!(followers, work);
    for (batch, events) in (1..).zip(read) {
        let events: Vec<_> = events.into_iter().filter(|event| *event != done(EVENTS + 1)).collect();
        assert_eq!(events, all(), "batch {batch}");
    }
    // Consumers that only read what was there are deleted at once.
    let started = Instant::now();
    while consumers(&context).await > 1 {
        assert!(started.elapsed() < PATIENCE, "one consumer is enough");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_survive_a_restart_of_the_server() {
    let mut nats = Nats::start();
    let journal = connect(&nats).await.journal();
    create_all(&journal).await;
    let opened = join_all((1..=BATCHES).map(|batch| open(&journal, batch))).await;
    let followers = join_all(opened.into_iter().map(read));
    let work = async {
        for number in 1..=EVENTS {
            if number == EVENTS / 2 {
                nats.kill();
                nats.run();
            }
            join_all((1..=BATCHES).map(|batch| append(&journal, batch, number))).await;
        }
    };
    let (read, ()) = tokio::join!(followers, work);
    assert!(read.iter().all(|events| *events == all()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_is_too_slow_is_not_waited_for_and_misses_nothing() {
    let nats = Nats::start();
    let journal = connect(&nats).await.journal();
    journal.create(id(1), OWNER, launched(1), None).await.expect("it answers");
    let mut pages = journal.follow(id(1), Offset(0));
    assert!(pages.next().await.expect("a page").expect("readable").caught_up);
    let error = |number: u32| Some(format!("{number:0>200}").into());
    let run = |number| AttemptRun {
        first: Position(number),
        count: 1,
        number: 1,
        started_at: Timestamp(1),
        took_ms: 1,
        error: error(number),
    };
    let large: Vec<_> =
        (0..40).map(|lap| Event::Attempted { lap, worker: "w".into(), runs: (0..2_000).map(run).collect() }).collect();
    for event in &large {
        journal.append(id(1), vec![event.clone()], Vec::new()).await.expect("it answers");
    }
    let mut events = Vec::new();
    while events.len() < large.len() {
        events.extend(pages.next().await.expect("it goes on").expect("readable").events);
    }
    assert!(events == large);
}
