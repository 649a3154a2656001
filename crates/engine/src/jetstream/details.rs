//! Details of squares: one message per square, each with its own subject.

use std::collections::BTreeSet;
use std::ops::Range;

use async_nats::HeaderMap;
use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use futures::{StreamExt, TryStreamExt, stream};
use quilt::{BatchId, Index};

use super::batch_get::{MAX_MESSAGES, last_of_each};
use super::bodies::{self, Body};
use super::calls::{failed, retry, unavailable};
use super::read::{last_message, next_message};
use super::stores::Stores;
use crate::checksum::of_detail;
use crate::journal::{Damage, JournalError, SquareDetail, Stored};

/// Header with the lap in which a task ran.
const LAP: &str = "Quilt-Lap";

/// Number of details that are read or written concurrently.
const AT_ONCE: usize = 64;

/// Maximum length of a range whose squares are read one by one, from the leader.
const READ_SINGLY: usize = 4;

/// Stores details. Idempotent.
pub(super) async fn put(stores: &Stores, batch: BatchId, details: &[SquareDetail]) -> Result<(), JournalError> {
    // Collected, because borrowed data must live as long as all futures of the stream.
    let writes: Vec<_> = details.iter().map(|detail| put_one(stores, batch, detail)).collect();
    stream::iter(writes).buffer_unordered(AT_ONCE).try_collect().await
}

async fn put_one(stores: &Stores, batch: BatchId, detail: &SquareDetail) -> Result<(), JournalError> {
    let SquareDetail { index, lap, body } = detail;
    let subject = stores.names.detail(&batch.to_string(), &index.0.to_string());
    let mut headers = HeaderMap::new();
    headers.insert(LAP, lap.to_string());
    bodies::put_checksum(&mut headers, bodies::CHECKSUM, of_detail(batch, detail));
    let payload = bodies::offload(stores, batch, &Body::of(batch, body.clone()), &mut headers).await?;
    retry(|| async {
        let mut last = 0;
        loop {
            let mut headers = headers.clone();
            headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, last.to_string());
            let message = PublishMessage::build().payload(payload.clone()).headers(headers);
            let stored = stores.context.send_publish(subject.clone(), message).await.map_err(failed)?;
            match stored.await {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => {}
                Err(error) => return Err(failed(error)),
            }
            // There is a detail already. It remains if it is of the same lap or a later one.
            match last_message(&stores.details, &subject).await? {
                Some(known) if lap_of(&known) >= *lap => return Ok(()),
                Some(known) => last = known.sequence,
                None => last = 0,
            }
        }
    })
    .await
}

/// The details in a range of squares, in the order of the squares. Squares without a detail are skipped.
pub(super) async fn get(
    stores: &Stores,
    batch: BatchId,
    squares: Range<u32>,
) -> Result<Vec<SquareDetail>, JournalError> {
    if squares.len() <= READ_SINGLY {
        return get_singly(stores, batch, squares).await;
    }
    // Answers of servers that are behind this sequence number are rejected, so that all details stored before this call are found.
    let info = retry(|| async { stores.details.get_info().await.map_err(failed) }).await?;
    let mut details = Vec::new();
    for start in squares.clone().step_by(MAX_MESSAGES) {
        let end = squares.end.min(start.saturating_add(MAX_MESSAGES as u32));
        details.extend(get_many(stores, batch, start..end, info.state.last_sequence).await?);
    }
    details.sort_unstable_by_key(|detail| detail.index);
    Ok(details)
}

async fn get_many(
    stores: &Stores,
    batch: BatchId,
    squares: Range<u32>,
    known: u64,
) -> Result<Vec<SquareDetail>, JournalError> {
    let prefix = stores.names.detail(&batch.to_string(), "");
    let stream = stores.names.stream("details");
    let mut wanted: BTreeSet<u32> = squares.collect();
    let mut details = Vec::new();
    loop {
        let subjects: Vec<String> = wanted.iter().map(|index| format!("{prefix}{index}")).collect();
        let answer = retry(|| async {
            let answer = last_of_each(stores, &stream, &subjects).await?;
            match answer.up_to {
                Some(up_to) if up_to < known => Err(unavailable("a server is behind")),
                _ => Ok(answer),
            }
        })
        .await?;
        // None of the details exist on the server that answered, and it is unknown whether that server is behind. The leader has all of
        // them.
        if answer.up_to.is_none() {
            let any = next_message(&stores.details, &stores.names.detail(&batch.to_string(), "*"), 1).await?;
            if any.is_some() {
                let rest: Vec<_> = wanted.into_iter().map(|square| get_one(stores, batch, Index(square))).collect();
                let rest: Vec<_> = stream::iter(rest).buffered(AT_ONCE).try_collect().await?;
                details.extend(rest.into_iter().flatten());
            }
            return Ok(details);
        }
        for message in &answer.messages {
            let Some(index) = message.subject.strip_prefix(&prefix).and_then(|index| index.parse().ok()) else {
                continue;
            };
            wanted.remove(&index);
            details.push(detail(stores, batch, Index(index), message).await?);
        }
        if answer.is_whole || answer.messages.is_empty() {
            return Ok(details);
        }
    }
}

async fn get_singly(stores: &Stores, batch: BatchId, squares: Range<u32>) -> Result<Vec<SquareDetail>, JournalError> {
    let reads: Vec<_> = squares.map(|square| get_one(stores, batch, Index(square))).collect();
    let found: Vec<Option<SquareDetail>> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

async fn get_one(stores: &Stores, batch: BatchId, index: Index) -> Result<Option<SquareDetail>, JournalError> {
    let subject = stores.names.detail(&batch.to_string(), &index.0.to_string());
    match last_message(&stores.details, &subject).await? {
        Some(message) => detail(stores, batch, index, &message).await.map(Some),
        None => Ok(None),
    }
}

/// Decodes a detail after verifying its checksum.
async fn detail(
    stores: &Stores,
    batch: BatchId,
    index: Index,
    message: &StreamMessage,
) -> Result<SquareDetail, JournalError> {
    let headers = Some(&message.headers);
    let body = bodies::fetch(stores, batch, headers, &message.payload).await?;
    let detail = SquareDetail { index, lap: lap_of(message), body };
    if bodies::is_intact(headers, bodies::CHECKSUM, of_detail(batch, &detail)) {
        return Ok(detail);
    }
    Err(JournalError::Damaged { batch, reason: Damage::Checksum(Stored::Detail(index)) })
}

/// Deletes all details of a batch.
pub(super) async fn delete(stores: &Stores, batch: BatchId) -> Result<(), JournalError> {
    let subject = stores.names.detail(&batch.to_string(), "*");
    retry(|| async { stores.details.purge().filter(subject.clone()).await.map(drop).map_err(failed) }).await
}

fn lap_of(message: &StreamMessage) -> u32 {
    message.headers.get(LAP).and_then(|lap| lap.as_str().parse().ok()).unwrap_or_default()
}
