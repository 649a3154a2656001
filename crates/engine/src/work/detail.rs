//! Details of tasks.

use bytes::Bytes;
use serde_json::{Map, Value};
use thiserror::Error;

/// Maximum size of the detail of one square, in bytes. It fits into a message of every backend.
pub const MAX_DETAIL: usize = 768 << 10;

/// Maximum size of the stored message of a failure, in bytes.
pub const MAX_MESSAGE: usize = 4 << 10;

const RECORD: u8 = 1;
const PICTURE: u8 = 2;
/// A failure: the length of its message in four bytes, the message, and the detail if there is one.
const FAILURE: u8 = 3;

/// Additional data of a task, stored with its outcome and read on request.
#[derive(Debug, Clone, PartialEq)]
pub enum Detail {
    /// Named values. Values that the kind of work declares as columns are shown in tables.
    Record(Map<String, Value>),
    /// A picture, as a PNG with eight bits per channel.
    Picture(Bytes),
}

impl Detail {
    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Record(values) => values.iter().map(|(name, value)| name.len() + value_bytes(value)).sum(),
            Self::Picture(png) => png.len(),
        }
    }
}

fn value_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(value_bytes).sum(),
        Value::Object(values) => values.iter().map(|(name, value)| name.len() + value_bytes(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
    }
}

/// Data stored with the outcome of a square.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum StoredDetail {
    /// The detail of a successful task. Earlier versions also stored the detail of a failed task this way.
    Plain(Detail),
    /// The message and detail of a failed task. If the task is done now, this is from an earlier lap.
    Failure {
        /// The full message; `None` if it equals the reason.
        message: Option<Box<str>>,
        detail: Option<Detail>,
    },
}

impl StoredDetail {
    pub(crate) fn encode(&self) -> Bytes {
        match self {
            Self::Plain(detail) => detail.encode(),
            Self::Failure { message, detail } => {
                let message = message.as_deref().unwrap_or_default();
                let mut bytes = vec![FAILURE];
                bytes.extend_from_slice(&(message.len() as u32).to_be_bytes());
                bytes.extend_from_slice(message.as_bytes());
                if let Some(detail) = detail {
                    bytes.extend_from_slice(&detail.encode());
                }
                bytes.into()
            }
        }
    }

    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, InvalidDetail> {
        let Some((&FAILURE, rest)) = bytes.split_first() else { return Detail::decode(bytes).map(Self::Plain) };
        let cut = || InvalidDetail("it ends too early".into());
        let (length, rest) = rest.split_first_chunk().ok_or_else(cut)?;
        let length = u32::from_be_bytes(*length) as usize;
        let message = rest.get(..length).ok_or_else(cut)?;
        let message = std::str::from_utf8(message).map_err(|error| InvalidDetail(error.to_string()))?;
        let detail = bytes.slice(5 + length..);
        Ok(Self::Failure {
            message: (!message.is_empty()).then(|| message.into()),
            detail: (!detail.is_empty()).then(|| Detail::decode(&detail)).transpose()?,
        })
    }
}

/// Shortens a text to at most `most` bytes. A shortened text ends with an ellipsis.
pub(crate) fn shortened(text: &str, most: usize) -> Box<str> {
    if text.len() <= most {
        return text.into();
    }
    let end = text.floor_char_boundary(most.saturating_sub('…'.len_utf8()));
    format!("{}…", text.get(..end).unwrap_or_default()).into()
}

/// The bytes are not a valid detail.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a stored detail cannot be read: {0}")]
pub struct InvalidDetail(String);

impl Detail {
    /// Encodes the detail for storage.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut bytes = Vec::new();
        match self {
            Self::Record(record) => {
                bytes.push(RECORD);
                // A map with string keys always serializes.
                bytes.extend(serde_json::to_vec(record).unwrap_or_default());
            }
            Self::Picture(png) => {
                bytes.push(PICTURE);
                bytes.extend_from_slice(png);
            }
        }
        bytes.into()
    }

    /// Decodes a detail that [`Detail::encode`] encoded.
    ///
    /// # Errors
    ///
    /// [`InvalidDetail`] if the bytes are anything else.
    pub fn decode(bytes: &Bytes) -> Result<Self, InvalidDetail> {
        match bytes.split_first() {
            Some((&RECORD, record)) => {
                serde_json::from_slice(record).map(Self::Record).map_err(|error| InvalidDetail(error.to_string()))
            }
            Some((&PICTURE, _)) => Ok(Self::Picture(bytes.slice(1..))),
            Some((kind, _)) => Err(InvalidDetail(format!("its kind is {kind}"))),
            None => Err(InvalidDetail("it is empty".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_reads_back_and_other_bytes_do_not() {
        let record = serde_json::json!({"status": 200, "title": "é"});
        let Value::Object(record) = record else { panic!("an object") };
        for detail in [Detail::Record(record), Detail::Picture(Bytes::from_static(b"png"))] {
            assert_eq!(Detail::decode(&detail.encode()), Ok(detail));
        }
        for bytes in [&b""[..], b"\x01[]", b"\x01{", b"\x04x"] {
            assert!(Detail::decode(&Bytes::copy_from_slice(bytes)).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_failure_reads_back_with_its_message_and_its_detail() {
        for message in [None, Some("exit status 7: é".into())] {
            for detail in [None, Some(Detail::Picture(Bytes::from_static(b"png")))] {
                let failure = StoredDetail::Failure { message: message.clone(), detail };
                assert_eq!(StoredDetail::decode(&failure.encode()), Ok(failure));
            }
        }
        let plain = Detail::Picture(Bytes::from_static(b"png"));
        assert_eq!(StoredDetail::decode(&plain.encode()), Ok(StoredDetail::Plain(plain)));
        for bytes in [&b"\x03"[..], b"\x03\0\0\0\x02x", b"\x03\0\0\0\x01\xFF", b"\x03\xFF\xFF\xFF\xFFx"] {
            assert!(StoredDetail::decode(&Bytes::copy_from_slice(bytes)).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(&*shortened("short", 5), "short");
        assert_eq!(&*shortened("ééééé", 8), "éé…");
    }
}
