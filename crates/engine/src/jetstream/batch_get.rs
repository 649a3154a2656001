//! Reads many messages with one request, from any server that has the stream. It leaves no consumer, and needs none.

use async_nats::HeaderMap;
use async_nats::jetstream::message::StreamMessage;
use futures::StreamExt;
use serde::Serialize;

use super::calls::{failed, unavailable, with_timeout};
use super::stores::Stores;
use crate::journal::JournalError;

/// The most messages of a request. The server refuses 1,024 subjects.
pub(super) const MAX_MESSAGES: usize = 256;

/// The most bytes that the server sends for a request.
const MAX_BYTES: usize = 4 << 20;

/// Up to where the server that answered knows the stream.
const UP_TO: &str = "Nats-UpTo-Sequence";

/// How many messages there are besides those that were sent.
const PENDING: &str = "Nats-Num-Pending";

/// The sequence number of the message that was sent before this one.
const LAST: &str = "Nats-Last-Sequence";

#[derive(Serialize)]
struct Request<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_last: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_by_subj: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    batch: usize,
    max_bytes: usize,
}

/// Messages, and whether the server has more.
pub(super) struct Answer {
    pub(super) messages: Vec<StreamMessage>,
    pub(super) is_whole: bool,
    /// The last sequence number of the stream that the server knew, if it said so.
    pub(super) up_to: Option<u64>,
}

/// The last messages of some subjects. It is not said how much a server knows that has none of them.
pub(super) async fn last_of_each(stores: &Stores, stream: &str, subjects: &[String]) -> Result<Answer, JournalError> {
    let (multi_last, batch) = (Some(subjects), subjects.len());
    let request = Request { multi_last, next_by_subj: None, seq: None, batch, max_bytes: MAX_BYTES };
    ask(stores, stream, &request).await
}

/// The messages of a subject from a sequence number on: the first ones of those that the server knows, without a gap.
pub(super) async fn next_of_subject(
    stores: &Stores,
    stream: &str,
    subject: &str,
    from: u64,
) -> Result<Answer, JournalError> {
    let (next_by_subj, seq) = (Some(subject), Some(from));
    let request = Request { multi_last: None, next_by_subj, seq, batch: MAX_MESSAGES, max_bytes: MAX_BYTES };
    let answer = ask(stores, stream, &request).await?;
    let mut last = None;
    for message in &answer.messages {
        if last.is_some() && number(Some(&message.headers), LAST) != last {
            return Err(unavailable("a message was lost on its way"));
        }
        last = Some(message.sequence);
    }
    Ok(answer)
}

async fn ask(stores: &Stores, stream: &str, request: &Request<'_>) -> Result<Answer, JournalError> {
    let client = stores.context.client();
    let inbox = client.new_inbox();
    let mut answers = with_timeout(client.subscribe(inbox.clone())).await?;
    let request = serde_json::to_vec(request).map_err(unavailable)?;
    let subject = format!("$JS.API.DIRECT.GET.{stream}");
    client.publish_with_reply(subject, inbox, request.into()).await.map_err(failed)?;
    let mut messages = Vec::new();
    loop {
        let next = with_timeout(async { answers.next().await.ok_or("the subscription has ended") }).await?;
        match next.status.map(|status| status.as_u16()) {
            None | Some(200) => messages.push(StreamMessage::try_from(next).map_err(unavailable)?),
            // All was sent, or all that fits.
            Some(204) => {
                let number = |name| number(next.headers.as_ref(), name);
                let is_whole = number(PENDING).is_none_or(|pending| pending == 0);
                return Ok(Answer { messages, is_whole, up_to: number(UP_TO) });
            }
            Some(404) => return Ok(Answer { messages, is_whole: true, up_to: None }),
            Some(status) => {
                let description = next.description.unwrap_or_default();
                return Err(unavailable(format!("{status} {description}")));
            }
        }
    }
}

fn number(headers: Option<&HeaderMap>, name: &str) -> Option<u64> {
    headers?.get(name)?.as_str().parse().ok()
}
