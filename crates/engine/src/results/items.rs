//! The items of a batch's input.

/// The items of a batch, by the index of their squares. One allocation of text for all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Items {
    text: Box<str>,
    /// Where each item ends in the text.
    ends: Box<[usize]>,
}

impl Items {
    pub(crate) fn new(items: &[String]) -> Self {
        let text: String = items.concat();
        let ends = items.iter().scan(0, |end, item| {
            *end += item.len();
            Some(*end)
        });
        Self { ends: ends.collect(), text: text.into() }
    }

    /// The item of the square with this index. `None` if the kind of work has no items.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<&str> {
        let index = index as usize;
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.text.get(start..end)
    }

    /// The memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len() + size_of_val(&*self.ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_found_by_the_index_of_their_square() {
        let items = Items::new(&["one".into(), String::new(), "drei".into()]);
        assert_eq!([0, 1, 2, 3].map(|index| items.get(index)), [Some("one"), Some(""), Some("drei"), None]);
        assert_eq!(Items::new(&[]).get(0), None);
    }
}
