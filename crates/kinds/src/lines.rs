//! Lists of items, one a line.

use std::ops::Range;

use bytes::Bytes;
use serde_json::Value;

/// The most items of a batch.
const MAX_ITEMS: usize = quilt::grid::MAX_SQUARES as usize;

/// A list of texts in one piece of memory.
pub(crate) struct Lines {
    text: Bytes,
    places: Vec<Range<u32>>,
}

impl Lines {
    /// Reads a list as it is stored.
    pub(crate) fn read(text: Bytes) -> Result<Self, String> {
        std::str::from_utf8(&text).map_err(|_| "the list is not UTF-8")?;
        let mut places = Vec::new();
        let mut start = 0;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let length = line.strip_suffix(b"\n").unwrap_or(line).len();
            let place = u32::try_from(start).ok().zip(u32::try_from(start + length).ok());
            let (first, end) = place.ok_or("the list is longer than 4 GiB")?;
            places.push(first..end);
            start += line.len();
        }
        Ok(Self { text, places })
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn get(&self, index: u32) -> Option<&str> {
        let place = self.places.get(index as usize)?;
        std::str::from_utf8(self.text.get(place.start as usize..place.end as usize)?).ok()
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.places.len() as u32).filter_map(|index| self.get(index))
    }
}

/// The items of a list as it is stored; none where there is no list.
pub(crate) fn items(stored: Option<Bytes>) -> Result<Vec<String>, String> {
    let lines = stored.map(Lines::read).transpose()?;
    Ok(lines.iter().flat_map(Lines::iter).map(str::to_owned).collect())
}

/// Where a list comes from: a parameter with texts, a file, or both.
pub(crate) fn gather(name: &str, list: Option<&Value>, upload: Option<&Bytes>) -> Result<Vec<String>, String> {
    let mut items = Vec::new();
    match list {
        None => {}
        Some(Value::Array(list)) => {
            for (place, item) in list.iter().enumerate() {
                let item = item.as_str().ok_or_else(|| format!("{name}[{place}] must be a text, not {item}"))?;
                items.push(item.to_owned());
            }
        }
        Some(other) => return Err(format!("{name} must be a list of texts, not {other}")),
    }
    if let Some(upload) = upload {
        let text = std::str::from_utf8(upload).map_err(|_| "the file is not UTF-8 text")?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        items.extend(text.lines().map(str::to_owned));
    }
    if items.len() > MAX_ITEMS {
        return Err(format!("there are {} items; at most {MAX_ITEMS} are allowed", items.len()));
    }
    Ok(items)
}

/// The list as it is stored.
pub(crate) fn store<'a>(items: impl IntoIterator<Item = &'a str>) -> Bytes {
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
    fn a_list_reads_back() {
        let lines = Lines::read(store(["a", "", "é b"])).expect("text");
        assert_eq!(lines.iter().collect::<Vec<_>>(), ["a", "", "é b"]);
        assert_eq!((lines.len(), lines.get(2), lines.get(3)), (3, Some("é b"), None));
        assert_eq!(Lines::read(Bytes::new()).expect("empty").len(), 0);
        assert!(Lines::read(Bytes::from_static(b"\xff\n")).is_err());
    }

    #[test]
    fn a_parameter_and_a_file_come_one_after_the_other() {
        let file = Bytes::from_static("\u{feff}c\r\nd".as_bytes());
        assert_eq!(
            gather("urls", Some(&json!(["a", "b"])), Some(&file)),
            Ok(vec!["a".into(), "b".into(), "c".into(), "d".into()])
        );
        assert!(gather("urls", Some(&json!(["a", 7])), None).expect_err("a number").contains("urls[1] must be a text"));
        assert!(gather("urls", Some(&json!("a")), None).expect_err("a text").contains("must be a list"));
    }
}
