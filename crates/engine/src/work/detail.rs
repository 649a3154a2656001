//! What is kept of a task besides its outcome.

use bytes::Bytes;
use serde_json::{Map, Value};
use thiserror::Error;

/// The most bytes that the detail of one square may take: what fits in a message of any store.
pub const MAX_DETAIL: usize = 768 << 10;

const RECORD: u8 = 1;
const PICTURE: u8 = 2;

/// What is known of a task besides its outcome. It is stored with it, and read for whoever asks for it.
#[derive(Debug, Clone, PartialEq)]
pub enum Detail {
    /// Named values; those that the kind of work names as its columns stand in tables.
    Record(Map<String, Value>),
    /// A picture, as a PNG of eight bits a channel.
    Picture(Bytes),
}

/// Stored bytes that are no detail.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a stored detail cannot be read: {0}")]
pub struct InvalidDetail(String);

impl Detail {
    /// As it is stored.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut bytes = Vec::new();
        match self {
            Self::Record(record) => {
                bytes.push(RECORD);
                // A map with texts as keys always has a form.
                bytes.extend(serde_json::to_vec(record).unwrap_or_default());
            }
            Self::Picture(png) => {
                bytes.push(PICTURE);
                bytes.extend_from_slice(png);
            }
        }
        bytes.into()
    }

    /// The detail that [`Detail::encode`] wrote.
    ///
    /// # Errors
    ///
    /// [`InvalidDetail`] where the bytes are anything else.
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
        for bytes in [&b""[..], b"\x01[]", b"\x01{", b"\x03x"] {
            assert!(Detail::decode(&Bytes::copy_from_slice(bytes)).is_err(), "{bytes:?}");
        }
    }
}
