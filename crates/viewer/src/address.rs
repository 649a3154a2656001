//! The view of a batch as the query of an address, so that a link opens the same view.

use quilt::Square;

use crate::look::{ColorBy, Look, TaskState};

/// The view in a query.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct View {
    /// What colors show.
    pub look: Look,
    /// The square whose details are open.
    pub chosen: Option<Square>,
    /// The side of a square in CSS pixels, if the quilt is enlarged.
    pub scale: Option<f64>,
}

impl View {
    /// Parses a query, with or without its question mark. Ignores unknown and invalid values.
    #[must_use]
    pub fn from_query(query: &str) -> Self {
        let look = Look {
            by: value(query, "by").and_then(ColorBy::named).unwrap_or_default(),
            only: value(query, "only").and_then(TaskState::named),
            reason: None,
        };
        Self {
            look,
            chosen: value(query, "square").and_then(square),
            scale: value(query, "zoom").and_then(scale).filter(|scale| *scale > 0.0),
        }
    }

    /// The query, with its question mark; empty for the default view.
    #[must_use]
    pub fn to_query(self) -> String {
        let mut parts = Vec::new();
        if self.look.by != ColorBy::default() {
            parts.push(format!("by={}", self.look.by.as_str()));
        }
        if let Some(only) = self.look.only {
            parts.push(format!("only={}", only.as_str()));
        }
        if let Some(Square { row, column }) = self.chosen {
            parts.push(format!("square={row},{column}"));
        }
        if let Some(scale) = self.scale {
            parts.push(format!("zoom={scale:.2}"));
        }
        if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
    }
}

/// Parses a square such as `3,4`: row and column, from 0.
#[must_use]
pub fn square(text: &str) -> Option<Square> {
    let (row, column) = text.split_once(',')?;
    Some(Square { row: row.trim().parse().ok()?, column: column.trim().parse().ok()? })
}

/// Parses a number with up to two decimals. Parsing an `f64` needs tables that would add 12 kB to the download.
fn scale(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let hundredths: String = fraction.chars().chain("00".chars()).take(2).collect();
    let (whole, hundredths): (u16, u16) = (whole.parse().ok()?, hundredths.parse().ok()?);
    Some(f64::from(whole) + f64::from(hundredths) / 100.0)
}

/// Returns the first value of a name in a query.
fn value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let pairs = query.trim_start_matches('?').split('&');
    pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_survives_its_address() {
        for by in ColorBy::ALL {
            for only in TaskState::ALL.map(Some).into_iter().chain([None]) {
                let chosen = Some(Square { row: 3, column: 14 });
                let view = View { look: Look { by, only, reason: None }, chosen, scale: Some(2.5) };
                assert_eq!(View::from_query(&view.to_query()), view);
            }
        }
        assert_eq!(View::default().to_query(), "");
    }

    #[test]
    fn a_scale_has_up_to_two_digits_after_its_point() {
        for (text, expected) in
            [("3", 3.0), ("2.5", 2.5), ("12.25", 12.25), ("0.06", 0.06), ("1.999", 1.99), ("7.", 7.0)]
        {
            assert_eq!(View::from_query(&format!("?zoom={text}")).scale, Some(expected), "{text}");
        }
    }

    #[test]
    fn nonsense_in_an_address_is_ignored() {
        for query in ["?by=nothing&only=&x", "?zoom=-1", "?zoom=0.00", "?zoom=inf&square=1", "?square=70000,1"] {
            assert_eq!(View::from_query(query), View::default(), "{query}");
        }
    }
}
