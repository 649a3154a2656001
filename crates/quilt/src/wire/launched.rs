//! The launch of a batch: version, spec and time.

use super::DecodeError;
use super::bytes::{MAX_TEXT, Reader, put_text, put_varint};
use crate::event::{JournalVersion, Launched};
use crate::spec::BatchSpec;

/// The maximum length of a spec that can be decoded, in bytes. See [`spec_bytes`].
pub const MAX_SPEC: usize = MAX_TEXT;

/// The number of bytes of an encoded spec.
#[must_use]
pub fn spec_bytes(spec: &BatchSpec) -> usize {
    spec_text(spec).len()
}

fn spec_text(spec: &BatchSpec) -> String {
    // A spec contains free-form parameters, so it is encoded as JSON. This cannot fail, because it consists of strings, numbers and maps
    // with string keys.
    serde_json::to_string(spec).unwrap_or_default()
}

pub(super) fn put_launched(out: &mut Vec<u8>, launched: &Launched) {
    put_varint(out, launched.version as u64);
    put_first_launched(out, launched);
}

/// Encodes a launch of journal version 1, which does not contain the version.
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

/// Decodes a launch of journal version 1, which does not contain the version.
pub(super) fn read_first_launched(reader: &mut Reader<'_>) -> Result<Launched, DecodeError> {
    let spec: BatchSpec = serde_json::from_str(reader.text()?).map_err(|_| DecodeError::UnknownSpec)?;
    let at = reader.timestamp()?;
    Ok(Launched { version: JournalVersion::V1, spec, at, group: None })
}
