//! Reads many messages with one request, from any server that has the stream. It creates no consumer.

use async_nats::HeaderMap;
use async_nats::jetstream::message::StreamMessage;
use futures::StreamExt;
use serde::Serialize;

use super::calls::{failed, unavailable, with_timeout};
use super::stores::Stores;
use crate::journal::JournalError;

/// Maximum number of messages per request. The server rejects 1,024 subjects.
pub(super) const MAX_MESSAGES: usize = 256;

/// Maximum number of bytes that the server sends per request.
const MAX_BYTES: usize = 4 << 20;

/// The last sequence number of the stream on the server that answered.
const UP_TO: &str = "Nats-UpTo-Sequence";

/// The number of messages that are not in the response.
const PENDING: &str = "Nats-Num-Pending";

/// The sequence number of the previous message in the response.
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

/// The messages of a response.
pub(super) struct Answer {
    pub(super) messages: Vec<StreamMessage>,
    pub(super) is_whole: bool,
    /// The last sequence number of the stream on that server. `None` if the server did not send it.
    pub(super) up_to: Option<u64>,
}

/// The last message of each subject. A server that has none of them does not send `up_to`.
pub(super) async fn last_of_each(stores: &Stores, stream: &str, subjects: &[String]) -> Result<Answer, JournalError> {
    let (multi_last, batch) = (Some(subjects), subjects.len());
    let request = Request { multi_last, next_by_subj: None, seq: None, batch, max_bytes: MAX_BYTES };
    ask(stores, stream, &request).await
}

/// The messages of a subject from a sequence number on: the first ones on that server, without gaps.
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
            // The end of the response. There may be more messages.
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
