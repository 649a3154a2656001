//! The seam for events.

use std::time::{Duration, Instant};

use bytes::Bytes;
use engine::Retention;
use engine::journal::{BatchMeta, Creation, EventPage, JournalError, Offset, OpenBatch, Sequence, SquareDetail};
use engine::work::MAX_DETAIL;
use futures::StreamExt;
use futures::future::join_all;
use quilt::{
    AttemptRun, BatchId, CancelCause, Color, Event, Index, LapSet, LapStats, Outcome, Position, Quilt, Receipt,
    Settlement, Summary, Timestamp,
};

use crate::{Backend, OWNER, PATIENCE, STRANGER, id, launched};

crate::on_all_sides!(
    a_batch_is_created_once_and_its_events_keep_their_order,
    a_follower_begins_where_it_is_told_and_goes_on,
    all_followers_read_the_same_order,
    an_append_is_as_large_as_it_has_to_be,
    lists_have_the_newest_first_and_go_on_at_a_cursor,
    what_is_not_concluded_is_unfinished,
    a_conclusion_has_no_effect_once_a_later_lap_has_started,
    what_is_over_can_be_removed_and_is_gone_for_all,
    what_is_too_old_or_too_much_is_told,
    an_input_is_kept_with_its_batch,
    of_two_details_the_later_laps_is_kept_and_in_a_lap_the_first,
    a_detail_is_as_large_as_allowed_and_goes_with_its_batch,
);

const TASKS: u32 = 64;

fn settled(lap: u32, position: u32, outcome: Outcome) -> Event {
    let settlements = vec![Settlement { position: Position(position), outcome }];
    Event::Settled { lap, at: Timestamp(u64::from(position)), settlements }
}

fn done(lap: u32, position: u32) -> Event {
    settled(lap, position, Outcome::Done(Color::from_rgb(position)))
}

/// A lap from start to finish, all done but for the first one.
fn lap() -> Vec<Event> {
    let failed = settled(1, 0, Outcome::Failed("never".into()));
    std::iter::once(failed).chain((1..TASKS).map(|position| done(1, position))).collect()
}

/// How a batch with these events ended.
fn final_summary(events: &[Event]) -> (Summary, Vec<Receipt>) {
    let mut quilt = Quilt::new(launched(1));
    let mut stats = LapStats::default();
    for event in events {
        let mut changes = Vec::new();
        quilt.apply(event, &mut changes);
        stats.apply(&quilt, event, &changes);
    }
    assert!(quilt.status().is_over());
    (quilt.summary(), stats.receipts().to_vec())
}

async fn create(backend: &Backend, batch: BatchId) {
    let created = backend.journal.create(batch, OWNER, launched(1), None).await;
    assert_eq!(created.expect("it answers"), Creation::Created);
}

async fn append(backend: &Backend, batch: BatchId, events: Vec<Event>) -> Sequence {
    backend.journal.append(batch, events, Vec::new()).await.expect("it answers")
}

async fn finish(backend: &Backend, batch: BatchId) {
    append(backend, batch, lap()).await;
    let (summary, receipts) = final_summary(&lap());
    backend.journal.finalize(batch, 1, summary, receipts).await.expect("it answers");
}

/// Everything from an offset on, as far as it goes.
async fn read(backend: &Backend, batch: BatchId, after: u64) -> (Vec<Event>, Sequence) {
    let mut pages = backend.journal.follow(batch, Offset(after));
    let mut all = Vec::new();
    loop {
        let EventPage { events, sequence, caught_up } = pages.next().await.expect("it goes on").expect("readable");
        all.extend(events);
        if caught_up {
            return (all, sequence);
        }
    }
}

/// Some events from an offset on, waited for.
async fn wait_for(backend: &Backend, batch: BatchId, after: u64, count: usize) -> Vec<Event> {
    let mut pages = backend.journal.follow(batch, Offset(after));
    let mut all = Vec::new();
    while all.len() < count {
        all.extend(pages.next().await.expect("it goes on").expect("readable").events);
    }
    all
}

async fn a_batch_is_created_once_and_its_events_keep_their_order(backend: &Backend) {
    create(backend, id(1)).await;
    let again = backend.journal.create(id(1), STRANGER, launched(2), None).await.expect("it answers");
    assert_eq!(again, Creation::Exists);
    let first = append(backend, id(1), vec![done(1, 1), done(1, 2)]).await;
    let second = append(backend, id(1), vec![done(1, 3)]).await;
    assert!(first < second);
    let (events, sequence) = read(backend, id(1), 0).await;
    assert_eq!(events, [Event::Launched(launched(1)), done(1, 1), done(1, 2), done(1, 3)]);
    assert_eq!(sequence, second);
    let found = backend.journal.find(id(1)).await.expect("it answers");
    assert_eq!(found, Some(BatchMeta { owner: OWNER, receipts: Vec::new(), is_finalized: false }));
    // None that never was.
    assert_eq!(backend.journal.find(id(2)).await.expect("it answers"), None);
    let nothing = backend.journal.follow(id(2), Offset(0)).next().await.expect("an answer");
    assert!(matches!(nothing, Err(JournalError::Removed)), "{nothing:?}");
}

async fn a_follower_begins_where_it_is_told_and_goes_on(backend: &Backend) {
    create(backend, id(1)).await;
    append(backend, id(1), vec![done(1, 1), done(1, 2)]).await;
    append(backend, id(1), vec![done(1, 3), done(1, 4)]).await;
    assert_eq!(read(backend, id(1), 2).await.0, [done(1, 2), done(1, 3), done(1, 4)]);
    assert_eq!(read(backend, id(1), 5).await.0, []);
    let (waited, ()) = tokio::join!(wait_for(backend, id(1), 5, 2), async {
        append(backend, id(1), vec![done(1, 5)]).await;
        append(backend, id(1), vec![done(1, 6)]).await;
    });
    assert_eq!(waited, [done(1, 5), done(1, 6)]);
}

async fn all_followers_read_the_same_order(backend: &Backend) {
    create(backend, id(1)).await;
    create(backend, id(2)).await;
    let writers = join_all((0..8).map(async |writer| {
        for number in 0..25 {
            append(backend, id(1), vec![done(1, writer * 100 + number)]).await;
            append(backend, id(2), vec![done(1, number)]).await;
        }
    }));
    let readers = join_all((0..3).map(|_| wait_for(backend, id(1), 1, 200)));
    let (_, read) = tokio::join!(writers, readers);
    assert!(read.iter().all(|events| *events == read[0]));
    for writer in 0..8 {
        let own = read[0].iter().filter(
            |event| matches!(event, Event::Settled { settlements, .. } if settlements[0].position.0 / 100 == writer),
        );
        assert!(own.eq(&(0..25).map(|number| done(1, writer * 100 + number)).collect::<Vec<_>>()));
    }
}

async fn an_append_is_as_large_as_it_has_to_be(backend: &Backend) {
    create(backend, id(1)).await;
    let reason = |number: u32| Some(format!("{number:0>200}").into());
    let run = |number| AttemptRun {
        first: Position(number),
        count: 1,
        number: 1,
        started_at: Timestamp(1),
        took_ms: 1,
        error: reason(number),
    };
    let large = Event::Attempted { lap: 1, worker: "w".into(), runs: (0..8_192).map(run).collect() };
    append(backend, id(1), vec![large.clone(), done(1, 1)]).await;
    append(backend, id(1), vec![done(1, 2)]).await;
    assert_eq!(read(backend, id(1), 1).await.0, [large, done(1, 1), done(1, 2)]);
}

async fn lists_have_the_newest_first_and_go_on_at_a_cursor(backend: &Backend) {
    for number in 1..=5 {
        let owner = if number == 3 { STRANGER } else { OWNER };
        backend.journal.create(id(number), owner, launched(number.into()), None).await.expect("it answers");
    }
    append(backend, id(4), lap()).await;
    let (summary, receipts) = final_summary(&lap());
    backend.journal.finalize(id(4), 1, summary.clone(), receipts).await.expect("it answers");
    let first = backend.journal.list(OWNER, None, 3).await.expect("it answers");
    assert_eq!(first.iter().map(|listed| listed.batch).collect::<Vec<_>>(), [id(5), id(4), id(2)]);
    let summaries: Vec<_> = first.iter().map(|listed| listed.final_summary.clone()).collect();
    assert_eq!(summaries, [None, Some(summary), None]);
    let rest = backend.journal.list(OWNER, Some(first[2].cursor), 3).await.expect("it answers");
    assert_eq!(rest.iter().map(|listed| listed.batch).collect::<Vec<_>>(), [id(1)]);
    assert_eq!(backend.journal.list(STRANGER, None, 3).await.expect("it answers").len(), 1);
}

async fn what_is_not_concluded_is_unfinished(backend: &Backend) {
    create(backend, id(1)).await;
    create(backend, id(2)).await;
    finish(backend, id(1)).await;
    let unfinished = backend.journal.unfinished().await.expect("it answers");
    assert_eq!(unfinished, [OpenBatch { batch: id(2), owner: OWNER, lap: 1, squares: TASKS }]);
    append(backend, id(1), vec![Event::LapStarted { lap: 2, at: Timestamp(9), set: LapSet::Failed, limits: None }])
        .await;
    let mut unfinished = backend.journal.unfinished().await.expect("it answers");
    unfinished.sort_by_key(|unfinished| unfinished.batch);
    assert_eq!(unfinished[0], OpenBatch { batch: id(1), owner: OWNER, lap: 2, squares: TASKS });
    assert_eq!(unfinished.len(), 2);
}

async fn a_conclusion_has_no_effect_once_a_later_lap_has_started(backend: &Backend) {
    create(backend, id(1)).await;
    append(backend, id(1), lap()).await;
    append(backend, id(1), vec![Event::LapStarted { lap: 2, at: Timestamp(9), set: LapSet::Failed, limits: None }])
        .await;
    let (summary, receipts) = final_summary(&lap());
    backend.journal.finalize(id(1), 1, summary, receipts.clone()).await.expect("it answers");
    assert_eq!(backend.journal.unfinished().await.expect("it answers").len(), 1);
    let found = backend.journal.find(id(1)).await.expect("it answers").expect("it is there");
    // What was true of the lap that is over stays true.
    assert_eq!((found.is_finalized, &found.receipts), (false, &receipts));
    assert!(!backend.journal.remove(id(1)).await.expect("it answers"));
    let cancelled = Event::Cancelled { lap: 2, at: Timestamp(10), cause: CancelCause::Asked };
    append(backend, id(1), vec![cancelled.clone()]).await;
    let started = Event::LapStarted { lap: 2, at: Timestamp(9), set: LapSet::Failed, limits: None };
    let all = [lap(), vec![started, cancelled]].concat();
    let (summary, noted) = final_summary(&all);
    assert_eq!(noted, receipts);
    backend.journal.finalize(id(1), 2, summary, noted).await.expect("it answers");
    assert_eq!(backend.journal.unfinished().await.expect("it answers"), []);
    assert_eq!(backend.journal.find(id(1)).await.expect("it answers").map(|found| found.receipts), Some(receipts));
}

async fn what_is_over_can_be_removed_and_is_gone_for_all(backend: &Backend) {
    create(backend, id(1)).await;
    assert!(!backend.journal.remove(id(1)).await.expect("it answers"), "not while it runs");
    finish(backend, id(1)).await;
    let mut pages = backend.journal.follow(id(1), Offset(0));
    while !pages.next().await.expect("it goes on").expect("readable").caught_up {}
    assert!(backend.journal.remove(id(1)).await.expect("it answers"));
    let told = async {
        loop {
            match pages.next().await.expect("an end") {
                Ok(page) => assert_eq!(page.events, []),
                Err(error) => break error,
            }
        }
    };
    let told = tokio::time::timeout(PATIENCE, told).await.expect("who follows is told");
    assert!(matches!(told, JournalError::Removed), "{told:?}");
    assert!(!backend.journal.remove(id(1)).await.expect("it answers"), "once");
    assert_eq!(backend.journal.find(id(1)).await.expect("it answers"), None);
    assert_eq!(backend.journal.list(OWNER, None, 9).await.expect("it answers"), []);
    while backend.journal.purge().await.expect("it answers") {}
    // Its id is nobody else's for a while.
    assert_eq!(backend.journal.create(id(1), OWNER, launched(1), None).await.expect("it answers"), Creation::Exists);
    assert_eq!(backend.journal.unfinished().await.expect("it answers"), []);
}

async fn what_is_too_old_or_too_much_is_told(backend: &Backend) {
    for number in 1..=3 {
        create(backend, id(number)).await;
    }
    finish(backend, id(2)).await;
    finish(backend, id(1)).await;
    let expired = async |retention, skip, limit| {
        let mut expired = backend.journal.expired(retention, skip, limit).await.expect("it answers");
        expired.sort_unstable();
        expired
    };
    // By the times in their events they were over in 1970.
    let old = |age| Retention { age: Some(age), bytes: None };
    assert_eq!(expired(old(Duration::from_secs(3_600)), 0, 9).await, []);
    let started = Instant::now();
    while expired(old(Duration::ZERO), 0, 9).await != [id(1), id(2)] {
        assert!(started.elapsed() < PATIENCE, "they are older than nothing");
    }
    assert_eq!(expired(old(Duration::ZERO), 1, 9).await.len(), 1);
    assert_eq!(
        backend.journal.expired(old(Duration::ZERO), 0, 1).await.expect("it answers"),
        [id(2)],
        "it was over first"
    );
    assert_eq!(expired(Retention { age: None, bytes: Some(1) }, 0, 1).await.len(), 1);
    assert_eq!(expired(Retention { age: None, bytes: Some(1 << 40) }, 0, 9).await, []);
}

async fn an_input_is_kept_with_its_batch(backend: &Backend) {
    // Larger than a message of NATS may be.
    let input = Bytes::from(vec![7; 3 << 20]);
    let created = backend.journal.create(id(1), OWNER, launched(1), Some(input.clone())).await;
    assert_eq!(created.expect("it answers"), Creation::Created);
    create(backend, id(2)).await;
    let other = Some(Bytes::from_static(b"other"));
    let again = backend.journal.create(id(1), OWNER, launched(1), other).await;
    assert_eq!(again.expect("it answers"), Creation::Exists);
    assert_eq!(backend.journal.input_size(id(1)).await.expect("it answers"), Some(3 << 20));
    assert_eq!(backend.journal.input(id(1)).await.expect("it answers"), Some(input));
    for without in [2, 3] {
        assert_eq!(backend.journal.input_size(id(without)).await.expect("it answers"), None);
    }
    assert_eq!(backend.journal.input(id(2)).await.expect("it answers"), None);
    assert_eq!(backend.journal.input(id(3)).await.expect("it answers"), None);
}

async fn of_two_details_the_later_laps_is_kept_and_in_a_lap_the_first(backend: &Backend) {
    create(backend, id(1)).await;
    create(backend, id(2)).await;
    let detail = |index, lap, body: &'static str| SquareDetail { index: Index(index), lap, body: body.into() };
    let append = async |batch, event, details| {
        backend.journal.append(batch, vec![event], details).await.expect("it answers");
    };
    append(id(1), done(1, 0), vec![detail(5, 1, "first"), detail(2, 1, "two"), detail(9, 1, "nine")]).await;
    append(id(1), done(1, 1), vec![detail(5, 1, "second")]).await;
    append(id(2), done(1, 1), vec![detail(5, 1, "of another batch")]).await;
    let details = async |squares| backend.journal.details(id(1), squares).await.expect("it answers");
    assert_eq!(details(0..9).await, [detail(2, 1, "two"), detail(5, 1, "first")]);
    append(id(1), done(2, 1), vec![detail(5, 2, "later")]).await;
    append(id(1), done(1, 2), vec![detail(5, 1, "too late")]).await;
    assert_eq!(details(3..64).await, [detail(5, 2, "later"), detail(9, 1, "nine")]);
}

async fn a_detail_is_as_large_as_allowed_and_goes_with_its_batch(backend: &Backend) {
    create(backend, id(1)).await;
    let largest = SquareDetail { index: Index(63), lap: 1, body: vec![1; MAX_DETAIL].into() };
    backend.journal.append(id(1), lap(), vec![largest.clone()]).await.expect("it answers");
    assert_eq!(backend.journal.details(id(1), 0..64).await.expect("it answers"), [largest]);
    let (summary, receipts) = final_summary(&lap());
    backend.journal.finalize(id(1), 1, summary, receipts).await.expect("it answers");
    assert!(backend.journal.remove(id(1)).await.expect("it answers"));
    while backend.journal.purge().await.expect("it answers") {}
    assert_eq!(backend.journal.details(id(1), 0..64).await.expect("it answers"), []);
}
