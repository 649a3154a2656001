//! All files of a site as one block of bytes.
//!
//! [`MAGIC`], the length of the index in eight bytes (little endian), the index as JSON, and the files one after the other.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::names::Names;

/// What a bundle begins with. It changes with the format.
const MAGIC: &[u8] = b"quilt-site-1\n";

/// The bytes of the length of the index.
const LENGTH: usize = size_of::<u64>();

/// A bundle that cannot be read.
#[derive(Debug, Error)]
pub enum BundleError {
    /// It is in another format, or none.
    #[error("this is not a bundle of a site")]
    Format,
    /// It ends before what it names.
    #[error("the bundle is truncated")]
    Truncated,
    /// The index is damaged.
    #[error("the index of the bundle: {0}")]
    Index(#[from] serde_json::Error),
}

/// A file to put into a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Its path in the site, without a slash in front.
    pub path: String,
    /// Names this content and no other one.
    pub hash: String,
    /// The content.
    pub content: Vec<u8>,
    /// The same, compressed with brotli, where that is smaller.
    pub brotli: Option<Vec<u8>>,
}

/// A file of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BundleFile<'a> {
    /// Names this content and no other one.
    pub hash: &'a str,
    /// The content.
    pub content: &'a [u8],
    /// The same, compressed with brotli.
    pub brotli: Option<&'a [u8]>,
}

/// The files of a site, read from a block of bytes that they stay in.
#[derive(Debug)]
pub struct Bundle<'a> {
    names: Names,
    files: BTreeMap<String, Entry>,
    content: &'a [u8],
}

#[derive(Debug, Serialize, Deserialize)]
struct Index {
    names: Names,
    files: BTreeMap<String, Entry>,
}

/// Where a file is, from the end of the index.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    hash: String,
    content: Range<usize>,
    brotli: Option<Range<usize>>,
}

impl<'a> Bundle<'a> {
    /// Reads the index of a bundle. Nothing at all is a bundle of no site.
    ///
    /// # Errors
    ///
    /// If the bytes are not a whole bundle of this version.
    pub fn read(bytes: &'a [u8]) -> Result<Option<Self>, BundleError> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let rest = bytes.strip_prefix(MAGIC).ok_or(BundleError::Format)?;
        let (length, rest) = rest.split_at_checked(LENGTH).ok_or(BundleError::Truncated)?;
        let length = length.iter().rev().fold(0, |length, byte| length << 8 | u64::from(*byte));
        let length = usize::try_from(length).map_err(|_| BundleError::Truncated)?;
        let (index, content) = rest.split_at_checked(length).ok_or(BundleError::Truncated)?;
        let Index { names, files } = serde_json::from_slice(index)?;
        let ranges = files.values().flat_map(|entry| [Some(&entry.content), entry.brotli.as_ref()]).flatten();
        for range in ranges {
            content.get(range.clone()).ok_or(BundleError::Truncated)?;
        }
        Ok(Some(Self { names, files, content }))
    }

    /// The names of what every page loads.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The paths of all files.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The file at a path, which has no slash in front.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<BundleFile<'_>> {
        let entry = self.files.get(path)?;
        let content = self.content.get(entry.content.clone())?;
        let brotli = entry.brotli.clone().and_then(|range| self.content.get(range));
        Some(BundleFile { hash: &entry.hash, content, brotli })
    }
}

/// Puts files into a bundle. The same files make the same bytes.
///
/// # Errors
///
/// If the index cannot be written as JSON.
pub fn bundle(names: &Names, files: &[NewFile]) -> Result<Vec<u8>, BundleError> {
    let mut content = Vec::new();
    let mut add = |bytes: &[u8]| {
        let start = content.len();
        content.extend_from_slice(bytes);
        start..content.len()
    };
    let files = files.iter().map(|file| {
        let entry = Entry {
            hash: file.hash.clone(),
            content: add(&file.content),
            brotli: file.brotli.as_deref().map(&mut add),
        };
        (file.path.clone(), entry)
    });
    let index = serde_json::to_vec(&Index { names: names.clone(), files: files.collect() })?;
    let length = (index.len() as u64).to_le_bytes();
    Ok([MAGIC, &length, &index, &content].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names::from_extensions(|extension| format!("pkg/quilt.1f0c59a2b3d4e5f6.{extension}"))
    }

    fn files() -> Vec<NewFile> {
        let file = |path: &str, content: &[u8], brotli: Option<&[u8]>| NewFile {
            path: path.into(),
            hash: format!("hash of {path}"),
            content: content.into(),
            brotli: brotli.map(Vec::from),
        };
        vec![file("pkg/quilt.1f0c59a2b3d4e5f6.js", b"let a = 1", Some(b"short")), file("empty.txt", b"", None)]
    }

    #[test]
    fn a_bundle_gives_back_what_was_put_in() {
        let bytes = bundle(&names(), &files()).expect("a bundle");
        let bundle = Bundle::read(&bytes).expect("it is whole").expect("it has a site");
        assert_eq!(bundle.names(), &names());
        assert_eq!(bundle.paths().collect::<Vec<_>>(), ["empty.txt", "pkg/quilt.1f0c59a2b3d4e5f6.js"]);
        for file in files() {
            let expected = BundleFile { hash: &file.hash, content: &file.content, brotli: file.brotli.as_deref() };
            assert_eq!(bundle.file(&file.path), Some(expected));
        }
        assert_eq!(bundle.file("pkg/quilt.js"), None);
    }

    #[test]
    fn nothing_is_a_bundle_of_no_site() {
        assert!(Bundle::read(&[]).expect("no error").is_none());
    }

    #[test]
    fn a_bundle_that_was_cut_anywhere_is_refused() {
        let bytes = bundle(&names(), &files()).expect("a bundle");
        for length in 1..bytes.len() {
            assert!(Bundle::read(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        assert!(matches!(Bundle::read(b"quilt-site-0\n"), Err(BundleError::Format)));
        let huge = [MAGIC, &u64::MAX.to_le_bytes()].concat();
        assert!(matches!(Bundle::read(&huge), Err(BundleError::Truncated)));
    }
}
