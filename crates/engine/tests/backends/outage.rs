//! What a node says and does while NATS is away, refuses, has lost what it had, or has no space left.

use std::time::{Duration, Instant};

use async_nats::jetstream::{self, Context};
use bytes::Bytes;
use engine::jetstream::{ConnectError, JetStream, JetStreamJournal, Options};
use engine::journal::{Blobs, Catalog, Cleanup, Creation, EventLog, Journal, JournalError, Offset, SquareDetail};
use futures::StreamExt;
use quilt::{Color, Event, Index, LapStats, Outcome, Position, Quilt, Settlement, Timestamp};

use crate::nats::Nats;
use crate::{OWNER, PATIENCE, connect, id, launched};

/// How long an answer may take that does not wait for anything. Much longer than it takes, and less than the time for which calls are made again.
const AT_ONCE: Duration = Duration::from_secs(6);

pub(crate) fn options(servers: String) -> Options {
    Options { servers, replicas: 1, name: "test".into(), ..Options::default() }
}

pub(crate) async fn context(nats: &Nats) -> Context {
    jetstream::new(async_nats::connect(nats.url()).await.expect("it listens"))
}

pub(crate) fn settled(positions: std::ops::Range<u32>) -> Event {
    let outcome = |position| Outcome::Done(Color::from_rgb(position));
    let settlements = positions.map(|position| Settlement { position: Position(position), outcome: outcome(position) });
    Event::Settled { lap: 1, at: Timestamp(1), settlements: settlements.collect() }
}

pub(crate) async fn create(
    journal: &JetStreamJournal,
    batch: u8,
    input: Option<Bytes>,
) -> Result<Creation, JournalError> {
    journal.create(id(batch), OWNER, launched(1), input).await
}

/// Appends all outcomes of a batch, and notes its end.
async fn finish(journal: &JetStreamJournal, batch: u8, details: Vec<SquareDetail>) {
    journal.append(id(batch), vec![settled(0..64)], details).await.expect("it answers");
    let mut quilt = Quilt::new(launched(1));
    let (mut stats, mut changes) = (LapStats::default(), Vec::new());
    quilt.apply(&settled(0..64), &mut changes);
    stats.apply(&quilt, &settled(0..64), &changes);
    journal.finalize(id(batch), 1, quilt.summary(), stats.receipts().to_vec()).await.expect("it answers");
}

/// Waits until the journal accepts batches, or does not.
async fn until_healthy(journal: &JetStreamJournal, healthy: bool) {
    let started = Instant::now();
    while journal.health().await.is_ok() != healthy {
        assert!(started.elapsed() < PATIENCE, "healthy: {healthy}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nats_is_away_calls_fail_soon_and_the_journal_is_not_healthy() {
    let mut nats = Nats::start();
    let journal = connect(&nats).await.journal();
    create(&journal, 1, None).await.expect("it answers");
    assert!(journal.health().await.is_ok());
    nats.kill();
    until_healthy(&journal, false).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let started = Instant::now();
    for error in [
        create(&journal, 2, None).await.map(drop).expect_err("nothing is there"),
        journal.append(id(1), vec![settled(0..1)], Vec::new()).await.map(drop).expect_err("nothing is there"),
        journal.find(id(1)).await.map(drop).expect_err("nothing is there"),
        journal.remove(id(1)).await.map(drop).expect_err("nothing is there"),
    ] {
        assert!(matches!(error, JournalError::Unavailable(_)), "{error}");
        assert!(error.to_string().contains("no connection"), "{error}");
    }
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    nats.run();
    until_healthy(&journal, true).await;
    assert!(journal.find(id(1)).await.expect("it answers").is_some());
    assert!(journal.find(id(2)).await.expect("it answers").is_none(), "what was refused is not stored later");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_permitted_is_refused_at_once_with_its_subject() {
    let nats = Nats::start_configured(
        r#"authorization { users: [
            { user: all, password: p }
            { user: some, password: p, permissions: { publish: { deny: ["quilt.journal.>"] } } }
            { user: none, password: p, permissions: { publish: { deny: ["$JS.API.>"] } } }
        ] }"#,
    );
    let url = |user: &str| format!("nats://{user}:p@127.0.0.1:{}", nats.port);
    Box::pin(JetStream::connect(&options(url("all")))).await.expect("it makes the streams");
    let journal = Box::pin(JetStream::connect(&options(url("some")))).await.expect("it is let in").journal();
    let started = Instant::now();
    let error = create(&journal, 1, None).await.expect_err("it may not");
    assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
    assert!(matches!(&error, JournalError::Refused(reason) if reason.contains("quilt.journal.")), "{error}");
    assert!(journal.find(id(1)).await.expect("it may read").is_none());
    // A node that may nothing does not start, and does not wait either.
    let started = Instant::now();
    let error = Box::pin(JetStream::connect(&options(url("none")))).await.map(drop).expect_err("it may not");
    assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
    assert!(matches!(&error, ConnectError::Refused { reason } if reason.contains("$JS.API.")), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_fit_a_server_with_the_smallest_messages() {
    let nats = Nats::start_configured("max_payload: 64KB");
    let journal = connect(&nats).await.journal();
    let input = Bytes::from((0..1 << 20).map(|byte: u32| byte as u8).collect::<Vec<_>>());
    create(&journal, 1, Some(input.clone())).await.expect("it answers");
    assert_eq!(journal.input(id(1)).await.expect("it answers"), Some(input));
    let details: Vec<_> = (0..64)
        .map(|index| SquareDetail { index: Index(index), lap: 1, body: vec![index as u8; 100_000].into() })
        .collect();
    journal.append(id(1), vec![settled(0..1)], details.clone()).await.expect("it answers");
    assert!(journal.details(id(1), 0..64).await.expect("it answers") == details);
    // Nothing of that is left on the server but messages.
    for stream in ["quilt-bodies", "quilt-details"] {
        let stream = context(&nats).await.get_stream(stream).await.expect("it is there");
        assert_eq!(stream.cached_info().state.consumer_count, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn details_of_a_range_are_complete_however_many_and_large_they_are() {
    let nats = Nats::start();
    let journal = connect(&nats).await.journal();
    create(&journal, 1, None).await.expect("it answers");
    let detail = |index: u32| SquareDetail { index: Index(index), lap: 1, body: vec![index as u8; 30_000].into() };
    // With gaps, and more bytes and squares than one request is answered with.
    let details: Vec<_> = (0..900).filter(|index| index % 7 != 0).map(detail).collect();
    journal.append(id(1), vec![settled(0..1)], details.clone()).await.expect("it answers");
    assert!(journal.details(id(1), 0..1_000).await.expect("it answers") == details);
    assert!(journal.details(id(1), 900..1_000).await.expect("it answers").is_empty());
    assert!(journal.details(id(2), 0..1_000).await.expect("it answers").is_empty());
    assert!(journal.details(id(1), 5..7).await.expect("it answers") == details[4..6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_vanish_are_made_again_and_batches_of_before_are_removed() {
    let nats = Nats::start();
    let connected = connect(&nats).await;
    let journal = connected.journal();
    let key = connected.shared("key", b"first").await.expect("it answers");
    create(&journal, 1, None).await.expect("it answers");
    for number in 0..9 {
        journal.append(id(1), vec![settled(number..number + 1)], Vec::new()).await.expect("it answers");
    }
    let mut pages = journal.follow(id(1), Offset(0));
    while !pages.next().await.expect("it goes on").expect("readable").caught_up {}
    let context = context(&nats).await;
    let names: Vec<_> = context.stream_names().collect().await;
    for name in names {
        context.delete_stream(name.expect("it answers")).await.expect("it is there");
    }
    let started = Instant::now();
    while create(&journal, 2, None).await.is_err() {
        assert!(started.elapsed() < PATIENCE, "the streams are made again");
    }
    let ended = async {
        loop {
            match pages.next().await.expect("an end") {
                Ok(page) => assert_eq!(page.events, []),
                Err(error) => break error,
            }
        }
    };
    let ended = tokio::time::timeout(PATIENCE, ended).await.expect("who follows it gets an error");
    assert!(matches!(ended, JournalError::Removed), "{ended}");
    assert!(journal.find(id(1)).await.expect("it answers").is_none());
    let mut pages = journal.follow(id(2), Offset(0));
    assert_eq!(pages.next().await.expect("it goes on").expect("readable").events.len(), 1);
    // What nodes share is what they already use.
    assert_eq!(connect(&nats).await.shared("key", b"second").await.expect("it answers"), key);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_refuses_batches_and_can_be_emptied() {
    // As much as an account has to have.
    let nats = Nats::start_configured(
        "accounts { small { jetstream { max_file: 64MB, max_mem: 1MB }, users: [{ user: u, password: p }] } }",
    );
    let options = options(format!("nats://u:p@127.0.0.1:{}", nats.port));
    let journal = Box::pin(JetStream::connect(&options)).await.expect("it will do").journal();
    let input = || Some(Bytes::from(vec![7; 8 << 20]));
    let mut stored = 0;
    let refused = loop {
        match create(&journal, stored + 1, input()).await {
            Ok(_) => finish(&journal, stored + 1, Vec::new()).await,
            Err(error) => break error,
        }
        stored += 1;
    };
    assert!(matches!(&refused, JournalError::Refused(reason) if reason.contains("no space")), "{refused}");
    assert!(stored > 4, "{stored}");
    let error = journal.health().await.expect_err("it would be refused again");
    assert!(error.to_string().contains("no space"), "{error}");
    // Until nothing fits, not even a key.
    let (mut size, mut index) = (512 << 10, 0);
    while size > 0 {
        index += 1;
        let detail = SquareDetail { index: Index(index), lap: 1, body: vec![1; size].into() };
        if journal.append(id(1), Vec::new(), vec![detail]).await.is_err() {
            size /= 2;
        }
    }
    let retention = engine::Retention { age: Some(Duration::ZERO), bytes: Some(1 << 20) };
    let expired = journal.expired(retention, 0, 99).await.expect("it answers");
    assert_eq!(expired.len(), usize::from(stored), "inputs count");
    assert!(journal.remove(id(1)).await.expect("it is removed"));
    while journal.purge().await.expect("it answers") {}
    assert!(journal.find(id(1)).await.expect("it answers").is_none());
    until_healthy(&journal, true).await;
    create(&journal, 99, input()).await.expect("there is space again");
    for batch in 2..=stored {
        assert!(journal.remove(id(batch)).await.expect("it is removed"));
    }
    while journal.purge().await.expect("it answers") {}
    let bodies = context_of(&options).await.get_stream("quilt-bodies").await.expect("it is there");
    // That of the last batch, and what there was of the one that was refused.
    assert!(bodies.cached_info().state.bytes < 17 << 20, "{}", bodies.cached_info().state.bytes);
}

async fn context_of(options: &Options) -> Context {
    let url: async_nats::ServerAddr = options.servers.parse().expect("an address");
    let (user, password) = (url.username().unwrap_or_default(), url.password().unwrap_or_default());
    let connecting = async_nats::ConnectOptions::with_user_and_password(user.into(), password.into());
    jetstream::new(connecting.connect(&options.servers).await.expect("it listens"))
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_an_account_that_are_enough_are_not_exceeded() {
    let nats = Nats::start_configured(
        "accounts { small { jetstream { max_file: 256MB, max_mem: 1MB, max_streams: 12, max_consumers: 3 }, users: [{ user: u, password: p }] } }",
    );
    let options = options(format!("nats://u:p@127.0.0.1:{}", nats.port));
    let journal = Box::pin(JetStream::connect(&options)).await.expect("it will do").journal();
    let read = async |batch| {
        create(&journal, batch, Some(Bytes::from_static(b"a list"))).await.expect("it answers");
        for number in 0..40 {
            journal.append(id(batch), vec![settled(number..number + 1)], Vec::new()).await.expect("it answers");
        }
        let mut pages = journal.follow(id(batch), Offset(0));
        let mut events = 0;
        while events < 41 {
            events += pages.next().await.expect("it goes on").expect("readable").events.len();
        }
        assert!(journal.input(id(batch)).await.expect("it answers").is_some());
    };
    futures::future::join_all((1..20).map(read)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_that_version_0_1_0_stored_are_read_and_deleted_with_their_batches() {
    use async_nats::jetstream::object_store::Config;
    let nats = Nats::start();
    let context = context(&nats).await;
    // An age that somebody has set by mistake.
    let config = Config { bucket: "quilt-bodies".into(), max_age: Duration::from_secs(3_600), ..Config::default() };
    let objects = context.create_object_store(config).await.expect("it is made");
    let journal = connect(&nats).await.journal();
    let stream = async || context.get_stream("OBJ_quilt-bodies").await.expect("it is there").cached_info().clone();
    assert_eq!(stream().await.config.max_age, Duration::ZERO);
    let input = Bytes::from(vec![7; 300_000]);
    create(&journal, 1, Some(input.clone())).await.expect("it answers");
    // The same batch, as 0.1.0 stored it.
    let subject = format!("quilt.journal.{}", id(1));
    let events = context.get_stream("quilt-journal").await.expect("it is there");
    let first = events.get_last_raw_message_by_subject(&subject).await.expect("it is there");
    // Without the size in its headers, as programs stored it that did not know that header.
    let mut sizeless = async_nats::HeaderMap::new();
    for name in ["Quilt-Owner", "Quilt-Input"] {
        sizeless.insert(name, first.headers.get(name).expect("it is there").as_str());
    }
    events.purge().filter(&subject).await.expect("it is deleted");
    let stored = context.publish_with_headers(subject.clone(), sizeless, first.payload.clone()).await;
    stored.expect("it is sent").await.expect("it is stored");
    assert_eq!(journal.input_size(id(1)).await.expect("it answers"), Some(300_000), "of two parts");
    events.purge().filter(&subject).await.expect("it is deleted");
    let (name, mut headers) = (format!("{}.an-id", id(1)), async_nats::HeaderMap::new());
    headers.insert("Quilt-Owner", OWNER.to_string());
    headers.insert("Quilt-Input", name.as_str());
    let stored = context.publish_with_headers(subject, headers, first.payload).await.expect("it is sent");
    stored.await.expect("it is stored");
    objects.put(name.as_str(), &mut &*input).await.expect("it is stored");
    objects.put("another", &mut &b"of another batch"[..]).await.expect("it is stored");

    assert_eq!(journal.input_size(id(1)).await.expect("it answers"), Some(300_000));
    assert_eq!(journal.input(id(1)).await.expect("it answers"), Some(input));
    finish(&journal, 1, Vec::new()).await;
    let bytes = engine::Retention { age: None, bytes: Some(300_000) };
    assert_eq!(journal.expired(bytes, 0, 9).await.expect("it answers"), [id(1)], "objects count");
    assert!(journal.remove(id(1)).await.expect("it is removed"));
    while journal.purge().await.expect("it answers") {}
    assert!(stream().await.state.bytes < 2_000);
    let objects = context.get_object_store("quilt-bodies").await.expect("it is there");
    assert!(objects.get("another").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn clusters_with_different_prefixes_share_a_server_and_nothing_else() {
    let nats = Nats::start();
    let with = |prefix: &str| Options { prefix: prefix.into(), ..options(nats.url()) };
    let one = Box::pin(JetStream::connect(&with("one"))).await.expect("it will do").journal();
    let other = Box::pin(JetStream::connect(&with("other"))).await.expect("it will do").journal();
    create(&one, 1, Some(Bytes::from(vec![7; 2 << 20]))).await.expect("it answers");
    assert!(one.find(id(1)).await.expect("it answers").is_some());
    assert!(other.find(id(1)).await.expect("it answers").is_none());
    let mut pages = one.follow(id(1), Offset(0));
    assert_eq!(pages.next().await.expect("it goes on").expect("readable").events.len(), 1);
    for name in context(&nats).await.stream_names().collect::<Vec<_>>().await {
        let name = name.expect("it answers");
        assert!(["one-", "other-", "KV_one-", "KV_other-"].iter().any(|prefix| name.starts_with(prefix)), "{name}");
    }
    let error = Box::pin(JetStream::connect(&with("a.b"))).await.map(drop).expect_err("it is invalid");
    assert!(matches!(error, ConnectError::Prefix(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_with_other_settings_are_corrected_or_refused_with_what_to_do() {
    use async_nats::jetstream::stream::{Config, StorageType};
    let nats = Nats::start();
    let context = context(&nats).await;
    let make = async |name: &str, subject: &str, storage, max_age| {
        let config =
            Config { name: name.into(), subjects: vec![subject.into()], storage, max_age, ..Config::default() };
        context.create_stream(config).await.expect("it is made");
    };
    make("quilt-details", "quilt.details.*.*", StorageType::Memory, Duration::ZERO).await;
    let refused = async || {
        let started = Instant::now();
        let error = Box::pin(JetStream::connect(&options(nats.url()))).await.map(drop).expect_err("it will not do");
        assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
        assert!(matches!(error, ConnectError::Unsuitable { .. }), "{error}");
        error.to_string()
    };
    let error = refused().await;
    assert!(error.contains("quilt-details") && error.contains("--nats-prefix"), "{error}");
    for name in context.stream_names().collect::<Vec<_>>().await {
        context.delete_stream(name.expect("it answers")).await.expect("it is there");
    }
    make("mine", "quilt.>", StorageType::File, Duration::ZERO).await;
    assert!(refused().await.contains("overlap"));
    context.delete_stream("mine").await.expect("it is there");
    make("quilt-bodies", "quilt.bodies.*.*.*", StorageType::File, Duration::from_secs(60)).await;
    connect(&nats).await;
    let bodies = context.get_stream("quilt-bodies").await.expect("it is there");
    assert_eq!(bodies.cached_info().config.max_age, Duration::ZERO);
}
