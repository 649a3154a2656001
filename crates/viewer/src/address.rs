//! The view of a batch as the query of an address, so that a link opens the same view.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, percent_decode_str, utf8_percent_encode};
use quilt::number::decimal;
use quilt::{Grid, Index, Square};

use crate::look::{ColorBy, Look, TaskState};

/// What is encoded in a query: all but the characters that have no meaning in any part of an address.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The view in a query.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct View {
    /// What colors show.
    pub look: Look,
    /// The square whose details are open.
    pub chosen: Option<Square>,
    /// The chosen reason of failures; empty if none is chosen.
    pub reason: String,
    /// The visible part of an enlarged quilt.
    pub place: Option<Place>,
}

/// Which part of a quilt is visible.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// The side of a square in CSS pixels.
    pub scale: f64,
    /// The row and the column in the middle of the window, with fractions; `None` in addresses that do not contain them.
    pub middle: Option<(f64, f64)>,
}

impl View {
    /// Parses a query, with or without its question mark. Ignores unknown and invalid values.
    #[must_use]
    pub fn from_query(query: &str) -> Self {
        let look = Look {
            by: value(query, "by").and_then(ColorBy::named).unwrap_or_default(),
            only: value(query, "only").and_then(TaskState::named),
            during: value(query, "during").and_then(range),
            ..Look::default()
        };
        let scale = value(query, "zoom").and_then(number).filter(|scale| *scale > 0.0);
        let middle = value(query, "at").and_then(pair);
        Self {
            look,
            chosen: value(query, "square").and_then(square),
            reason: value(query, "reason").map(decoded).unwrap_or_default(),
            place: scale.map(|scale| Place { scale, middle }),
        }
    }

    /// The query, with its question mark; empty for the default view.
    #[must_use]
    pub fn to_query(&self) -> String {
        let mut parts = Vec::new();
        if self.look.by != ColorBy::default() {
            parts.push(format!("by={}", self.look.by.as_str()));
        }
        if let Some(only) = self.look.only {
            parts.push(format!("only={}", only.as_str()));
        }
        if let Some((from, to)) = self.look.during {
            parts.push(format!("during={from}-{to}"));
        }
        if let Some(Square { row, column }) = self.chosen {
            parts.push(format!("square={row},{column}"));
        }
        if !self.reason.is_empty() {
            parts.push(format!("reason={}", encoded(&self.reason)));
        }
        if let Some(Place { scale, middle }) = self.place {
            parts.push(format!("zoom={}", decimal(scale, 2)));
            if let Some((row, column)) = middle {
                parts.push(format!("at={},{}", decimal(row, 2), decimal(column, 2)));
            }
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

/// The square that a visitor types: a row and a column such as `3,4`, `3 4` or `row 3, column 4`, or an index. A square outside of every
/// grid for numbers that are too large; `None` for other texts.
#[must_use]
pub fn typed_square(text: &str, grid: Grid) -> Option<Square> {
    let is_separator = |letter: char| letter.is_whitespace() || matches!(letter, ',' | ';' | '×' | 'x' | 'X');
    let is_word =
        |part: &&str| part.is_empty() || part.eq_ignore_ascii_case("row") || part.eq_ignore_ascii_case("column");
    let mut numbers = text.split(is_separator).filter(|part| !is_word(part)).map(|part| part.parse::<u32>().ok());
    let square = match (numbers.next()??, numbers.next(), numbers.next()) {
        (index, None, None) => (index < grid.squares()).then(|| grid.square(Index(index))),
        (row, Some(Some(column)), None) => {
            u16::try_from(row).ok().zip(u16::try_from(column).ok()).map(|(row, column)| Square { row, column })
        }
        _ => return None,
    };
    Some(square.unwrap_or(Square { row: u16::MAX, column: u16::MAX }))
}

/// A text as a value in a query.
pub(crate) fn encoded(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, RESERVED)
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Two whole numbers in ascending order.
fn range(text: &str) -> Option<(u32, u32)> {
    let (from, to) = text.split_once('-')?;
    let (from, to) = (from.parse().ok()?, to.parse().ok()?);
    (from <= to).then_some((from, to))
}

fn pair(text: &str) -> Option<(f64, f64)> {
    let (row, column) = text.split_once(',')?;
    Some((number(row)?, number(column)?))
}

/// A number with up to two digits after its point. Parsing any `f64` needs tables that would add 12 kB to what the browser downloads.
fn number(text: &str) -> Option<f64> {
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
                let look = Look { by, only, during: Some((120, 3_400)), ..Look::default() };
                let place = Some(Place { scale: 2.5, middle: Some((799.25, 456.5)) });
                let reason = "429 Too Many Requests & more: 100 %, ü".to_owned();
                let view = View { look, chosen, reason, place };
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
            let place = Some(Place { scale: expected, middle: None });
            assert_eq!(View::from_query(&format!("?zoom={text}")).place, place, "{text}");
        }
    }

    #[test]
    fn nonsense_in_an_address_is_ignored() {
        for query in [
            "?by=nothing&only=&x",
            "?zoom=-1",
            "?zoom=0.00",
            "?zoom=inf&square=1",
            "?square=70000,1",
            "?at=3,4",
            "?during=5-3",
            "?during=-1-3",
        ] {
            assert_eq!(View::from_query(query), View::default(), "{query}");
        }
        let without_middle = Some(Place { scale: 3.0, middle: None });
        for query in ["?zoom=3&at=1", "?zoom=3&at=1,x", "?zoom=3&at=-1,2"] {
            assert_eq!(View::from_query(query).place, without_middle, "{query}");
        }
    }

    #[test]
    fn a_square_is_typed_in_many_ways() {
        let grid = Grid::with_squares(3, 10, 25).expect("small");
        let square = |row, column| Some(Square { row, column });
        for text in ["2,4", "2 4", " 2 ; 4 ", "2 × 4", "2x4", "24", "Row 2, column 4"] {
            assert_eq!(typed_square(text, grid), square(2, 4), "{text}");
        }
        for text in ["", "abc", "-1", "1.5", "1,2,3", "1,b", "https://example.org/3", "row"] {
            assert_eq!(typed_square(text, grid), None, "{text}");
        }
        for text in ["25", "4294967295", "70000,1"] {
            assert_eq!(grid.index(typed_square(text, grid).expect("numbers")), None, "{text}");
        }
        assert_eq!(typed_square("99999999999", grid), None);
    }
}
