//! Details of squares: a message for each, under a subject of its own.

use std::ops::Range;

use async_nats::HeaderMap;
use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use quilt::{BatchId, Index};

use super::bodies::{self, Body};
use super::read::last_message;
use super::stores::{Stores, detail_subject};
use super::trouble::{keep_trying, unavailable};
use crate::checksum::of_detail;
use crate::journal::{Damage, JournalError, SquareDetail, Stored};

/// Names the lap in which a task ran.
const LAP: &str = "Quilt-Lap";

/// How many are written, or read, at the same time.
const AT_ONCE: usize = 64;

/// Keeps details. Made again it changes nothing.
pub(super) async fn put(stores: &Stores, batch: BatchId, details: &[SquareDetail]) -> Result<(), JournalError> {
    // What is borrowed by a stream of futures has to live as long as all of them.
    let writes: Vec<_> = details.iter().map(|detail| put_one(stores, batch, detail)).collect();
    stream::iter(writes).buffer_unordered(AT_ONCE).try_collect().await
}

async fn put_one(stores: &Stores, batch: BatchId, detail: &SquareDetail) -> Result<(), JournalError> {
    let SquareDetail { index, lap, body } = detail;
    let subject = detail_subject(&batch.to_string(), &index.0.to_string());
    let mut headers = HeaderMap::new();
    headers.insert(LAP, lap.to_string());
    bodies::put_checksum(&mut headers, bodies::CHECKSUM, of_detail(batch, detail));
    let payload = bodies::stow(stores, batch, &Body::of(batch, body.clone()), &mut headers).await?;
    keep_trying(|| async {
        let mut last = 0;
        loop {
            let mut headers = headers.clone();
            headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, last.to_string());
            let message = PublishMessage::build().payload(payload.clone()).headers(headers);
            let stored = stores.context.send_publish(subject.clone(), message).await.map_err(unavailable)?;
            match stored.await {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => {}
                Err(error) => return Err(unavailable(error)),
            }
            // There is one: of the same lap, which stays, or of an earlier one.
            match last_message(&stores.details, &subject).await? {
                Some(known) if lap_of(&known) >= *lap => return Ok(()),
                Some(known) => last = known.sequence,
                None => last = 0,
            }
        }
    })
    .await
}

/// The details of those squares of a range that have any, in the order of the squares.
pub(super) async fn get(
    stores: &Stores,
    batch: BatchId,
    squares: Range<u32>,
) -> Result<Vec<SquareDetail>, JournalError> {
    let reads: Vec<_> = squares.map(|square| get_one(stores, batch, Index(square))).collect();
    let found: Vec<Option<SquareDetail>> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

async fn get_one(stores: &Stores, batch: BatchId, index: Index) -> Result<Option<SquareDetail>, JournalError> {
    let subject = detail_subject(&batch.to_string(), &index.0.to_string());
    let Some(message) = last_message(&stores.details, &subject).await? else { return Ok(None) };
    let body: Bytes = keep_trying(|| bodies::fetch(stores, Some(&message.headers), &message.payload)).await?;
    let detail = SquareDetail { index, lap: lap_of(&message), body };
    if bodies::is_intact(Some(&message.headers), bodies::CHECKSUM, of_detail(batch, &detail)) {
        return Ok(Some(detail));
    }
    Err(JournalError::Damaged { batch, reason: Damage::Checksum(Stored::Detail(index)) })
}

/// Deletes all details of a batch.
pub(super) async fn delete(stores: &Stores, batch: BatchId) -> Result<(), JournalError> {
    let subject = detail_subject(&batch.to_string(), "*");
    keep_trying(|| async { stores.details.purge().filter(subject.clone()).await.map(drop).map_err(unavailable) }).await
}

fn lap_of(message: &StreamMessage) -> u32 {
    message.headers.get(LAP).and_then(|lap| lap.as_str().parse().ok()).unwrap_or_default()
}
