//! Lists of items, one per line.

use std::ops::Range;

use bytes::Bytes;
use serde_json::Value;

/// The maximum number of items in a batch.
const MAX_ITEMS: usize = quilt::grid::MAX_SQUARES as usize;

/// A list of strings in one allocation.
pub(crate) struct ItemList {
    text: Bytes,
    /// The byte range of each item, without its line break.
    ranges: Vec<Range<u32>>,
}

impl ItemList {
    /// Parses the format that [`encode`] writes. The text must be UTF-8 and no longer than 4 GiB.
    pub(crate) fn parse(text: Bytes) -> Result<Self, String> {
        std::str::from_utf8(&text).map_err(|_| "the stored list is not UTF-8")?;
        let mut ranges = Vec::new();
        let mut start = 0;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let length = line.strip_suffix(b"\n").unwrap_or(line).len();
            let range = u32::try_from(start).ok().zip(u32::try_from(start + length).ok());
            let (first, end) = range.ok_or("the stored list is longer than 4 GiB")?;
            ranges.push(first..end);
            start += line.len();
        }
        Ok(Self { text, ranges })
    }

    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }

    pub(crate) fn get(&self, index: u32) -> Option<&str> {
        let range = self.ranges.get(index as usize)?;
        std::str::from_utf8(self.text.get(range.start as usize..range.end as usize)?).ok()
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ranges.len() as u32).filter_map(|index| self.get(index))
    }
}

/// Returns the items of a stored list; an empty list if none is stored.
pub(crate) fn decode(stored: Option<Bytes>) -> Result<Vec<String>, String> {
    let list = stored.map(ItemList::parse).transpose()?;
    Ok(list.iter().flat_map(ItemList::iter).map(str::to_owned).collect())
}

/// Concatenates the items of the parameter `name` and the lines of an uploaded file.
pub(crate) fn collect(name: &str, parameter: Option<&Value>, upload: Option<&Bytes>) -> Result<Vec<String>, String> {
    let mut items = Vec::new();
    match parameter {
        None => {}
        Some(Value::Array(list)) => {
            for (index, item) in list.iter().enumerate() {
                let item = item.as_str().ok_or_else(|| format!("{name}[{index}] must be a string, not {item}"))?;
                items.push(item.to_owned());
            }
        }
        Some(other) => return Err(format!("{name} must be a list of strings, not {other}")),
    }
    if let Some(upload) = upload {
        let text = std::str::from_utf8(upload).map_err(|_| "file: the uploaded file is not UTF-8 text")?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        items.extend(text.lines().map(str::to_owned));
    }
    if items.len() > MAX_ITEMS {
        return Err(format!("there are {} items; at most {MAX_ITEMS} are allowed", items.len()));
    }
    Ok(items)
}

/// Encodes items for storage. They must not contain line breaks.
pub(crate) fn encode<'a>(items: impl IntoIterator<Item = &'a str>) -> Bytes {
    let mut text = String::new();
    for item in items {
        text.push_str(item);
        text.push('\n');
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn list_round_trips() {
        let list = ItemList::parse(encode(["a", "", "é b"])).expect("valid UTF-8");
        assert_eq!(list.iter().collect::<Vec<_>>(), ["a", "", "é b"]);
        assert_eq!((list.len(), list.get(2), list.get(3)), (3, Some("é b"), None));
        assert_eq!(ItemList::parse(Bytes::new()).expect("empty").len(), 0);
        assert!(ItemList::parse(Bytes::from_static(b"\xff\n")).is_err());
    }

    #[test]
    fn parameter_items_precede_file_items() {
        let file = Bytes::from_static("\u{feff}c\r\nd".as_bytes());
        assert_eq!(
            collect("urls", Some(&json!(["a", "b"])), Some(&file)),
            Ok(vec!["a".into(), "b".into(), "c".into(), "d".into()])
        );
        let error = collect("urls", Some(&json!(["a", 7])), None).expect_err("a number");
        assert!(error.contains("urls[1] must be a string"), "{error}");
        let error = collect("urls", Some(&json!("a")), None).expect_err("a string");
        assert!(error.contains("must be a list"), "{error}");
    }
}
