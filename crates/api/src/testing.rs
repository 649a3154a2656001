//! Shared test helpers.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Checks that a value serializes to exactly this JSON, and is deserialized from it.
#[track_caller]
pub(crate) fn assert_golden<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T, json: &str) {
    assert_eq!(serde_json::to_string(value).expect("plain data"), json);
    assert_eq!(&serde_json::from_str::<T>(json).expect("its own JSON"), value);
}
