//! The launch of a batch: the version of its journal, its spec and its time.

use super::DecodeError;
use super::bytes::{MAX_TEXT, Reader, put_text, put_varint};
use crate::event::{JournalVersion, Launched};
use crate::spec::BatchSpec;

/// The longest spec that can be read back, in bytes; see [`spec_bytes`].
pub const MAX_SPEC: usize = MAX_TEXT;

/// How many bytes a spec takes.
#[must_use]
pub fn spec_bytes(spec: &BatchSpec) -> usize {
    spec_text(spec).len()
}

fn spec_text(spec: &BatchSpec) -> String {
    // A spec holds the free-form parameters of its kind of work, which JSON is made for. Writing one cannot fail: it is
    // made of strings, numbers and maps with string keys.
    serde_json::to_string(spec).unwrap_or_default()
}

pub(super) fn put_launched(out: &mut Vec<u8>, launched: &Launched) {
    put_varint(out, launched.version as u64);
    put_first_launched(out, launched);
}

/// A launch as the first version wrote it, without a version.
pub(super) fn put_first_launched(out: &mut Vec<u8>, launched: &Launched) {
    put_text(out, &spec_text(&launched.spec));
    put_varint(out, launched.at.0);
}

pub(super) fn read_launched(reader: &mut Reader<'_>) -> Result<Launched, DecodeError> {
    let version = match reader.varint()? {
        1 => JournalVersion::V1,
        2 => JournalVersion::V2,
        other => return Err(DecodeError::UnknownVersion(other)),
    };
    Ok(Launched { version, ..read_first_launched(reader)? })
}

/// A launch without a version, which is one of the first.
pub(super) fn read_first_launched(reader: &mut Reader<'_>) -> Result<Launched, DecodeError> {
    let spec: BatchSpec = serde_json::from_str(reader.text()?).map_err(|_| DecodeError::UnknownSpec)?;
    let at = reader.timestamp()?;
    Ok(Launched { version: JournalVersion::V1, spec, at, group: None })
}
