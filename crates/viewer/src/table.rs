//! The results of a batch as a table: sorted, filtered, and rendered a window at a time.

use std::cmp::Ordering;

use api::ResultLine;
use quilt::Square;
use serde::{Deserialize, Serialize};

/// The maximum number of rows that the page loads. Files contain all of them.
pub const MAX_ROWS: usize = 20_000;

/// The height of a row, in CSS pixels.
pub const ROW_HEIGHT_PX: usize = 34;

/// The number of rendered rows: the visible ones, and some above and below.
pub const WINDOW_ROWS: usize = 48;

/// The number of rendered rows above the visible ones.
const ROWS_ABOVE: usize = 12;

/// The window moves in steps of this many rows.
const WINDOW_STEP_ROWS: usize = 8;

/// The index of the column with the square.
pub const SQUARE_COLUMN: usize = 0;

/// The index of the column with the state.
pub const STATE_COLUMN: usize = 2;

/// The names and labels of the columns of all kinds of work.
const COMMON_COLUMNS: [(&str, &str); 4] =
    [("square", "Square"), ("item", "Item"), ("state", "State"), ("failed", "Reason")];

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// The name of the value in results.
    pub name: String,
    /// The text in the header.
    pub label: String,
}

/// A value in a cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// The result has no such value.
    Nothing,
    /// A number. Numbers are sorted before texts.
    Number(f64),
    /// Any other value. Lists and objects are JSON.
    Text(String),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl From<&serde_json::Value> for Value {
    fn from(value: &serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Nothing,
            serde_json::Value::String(text) => Self::Text(text.clone()),
            // JSON numbers that are too large for a float are texts.
            value => value.as_f64().map_or_else(|| Self::Text(value.to_string()), Self::Number),
        }
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        text.map_or(Self::Nothing, |text| Self::Text(text.into()))
    }
}

/// The result of one square.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its square.
    pub square: Square,
    /// One value per column.
    pub cells: Vec<Value>,
    /// All values, as the filter searches them.
    searched: String,
}

/// Makes texts that differ only in case equal, like [`str::to_lowercase`]. The browser has its own tables for this.
pub type FoldCase = fn(&str) -> String;

/// The direction in which a column is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

impl Direction {
    /// The value of `aria-sort`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ascending => "ascending",
            Self::Descending => "descending",
        }
    }
}

/// The table.
#[derive(Debug)]
pub struct Table {
    fold_case: FoldCase,
    columns: Vec<Column>,
    rows: Vec<Row>,
    sort: Option<(usize, Direction)>,
    filter: String,
    only: Option<String>,
    /// The indices of the rows that match, sorted.
    order: Vec<u32>,
}

impl Table {
    /// Creates an empty table with the columns of all kinds and those of one kind. `fold_case` makes the filter case-insensitive.
    #[must_use]
    pub fn new(own: Vec<Column>, fold_case: FoldCase) -> Self {
        let common = COMMON_COLUMNS.map(|(name, label)| Column { name: name.into(), label: label.into() });
        Self {
            fold_case,
            columns: common.into_iter().chain(own).collect(),
            rows: Vec::new(),
            sort: None,
            filter: String::new(),
            only: None,
            order: Vec::new(),
        }
    }

    /// Replaces the rows, which are in the order of the squares.
    pub fn set_results(&mut self, results: &[ResultLine]) {
        self.rows = results.iter().map(|result| self.row(result)).collect();
        self.update_order();
    }

    fn row(&self, result: &ResultLine) -> Row {
        let square = Square { row: place(result.row), column: place(result.column) };
        let own = self.columns.iter().skip(COMMON_COLUMNS.len()).map(|column| {
            let value = result.detail.as_ref().and_then(|detail| detail.get(&column.name));
            value.map_or(Value::Nothing, Value::from)
        });
        let common = [
            Value::Text(format!("{}, {}", square.row, square.column)),
            Value::from(result.item.as_deref()),
            Value::Text(result.state.words().into()),
            Value::from(result.failed.as_deref()),
        ];
        let cells: Vec<Value> = common.into_iter().chain(own).collect();
        // A filter has no line breaks, so it matches within a cell.
        let searched: String = cells.iter().flat_map(|cell| [cell.to_string(), "\n".into()]).collect();
        Row { square, searched: (self.fold_case)(&searched), cells }
    }

    /// The number of all rows, matching or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The number of matching rows.
    #[must_use]
    pub fn matching(&self) -> usize {
        self.order.len()
    }

    /// The columns with at least one value, with their indices. Always includes the first column.
    #[must_use]
    pub fn used_columns(&self) -> Vec<(usize, &Column)> {
        let is_used = |place: usize| {
            place == SQUARE_COLUMN
                || self.rows.iter().any(|row| row.cells.get(place).is_some_and(|cell| *cell != Value::Nothing))
        };
        self.columns.iter().enumerate().filter(|(place, _)| is_used(*place)).collect()
    }

    /// The sorted column and its direction.
    #[must_use]
    pub fn sort(&self) -> Option<(usize, Direction)> {
        self.sort
    }

    /// The rows to render when the first one is `first`.
    pub fn window(&self, first: usize) -> impl Iterator<Item = &Row> {
        self.order.iter().skip(first).take(WINDOW_ROWS).filter_map(|row| self.rows.get(*row as usize))
    }

    /// The first row to render after scrolling to `top` pixels, if the current one is `first`. Small movements do not change it.
    #[must_use]
    pub fn first_at(&self, top: usize, first: usize) -> usize {
        let wanted = (top / ROW_HEIGHT_PX).saturating_sub(ROWS_ABOVE).min(self.order.len().saturating_sub(1));
        if wanted.abs_diff(first) >= WINDOW_STEP_ROWS || wanted == 0 { wanted } else { first }
    }

    /// The scroll offset, in pixels, that makes the row of a square visible; `None` if it does not match.
    #[must_use]
    pub fn scroll_to(&self, square: Square) -> Option<usize> {
        let of_square = |row: &u32| self.rows.get(*row as usize).is_some_and(|row| row.square == square);
        Some(self.order.iter().position(of_square)?.saturating_sub(3) * ROW_HEIGHT_PX)
    }

    /// Sets the text that matching rows contain, ignoring case.
    pub fn set_filter(&mut self, filter: &str) {
        self.filter = (self.fold_case)(filter);
        self.update_order();
    }

    /// Sets the state, in words, of matching rows; empty for all states.
    pub fn set_only(&mut self, only: &str) {
        self.only = Some(only.to_owned()).filter(|only| !only.is_empty());
        self.update_order();
    }

    /// Sorts by a column: ascending, with the next call descending, then not at all.
    pub fn sort_by(&mut self, column: usize) {
        self.sort = match self.sort {
            Some((known, Direction::Ascending)) if known == column => Some((column, Direction::Descending)),
            Some((known, Direction::Descending)) if known == column => None,
            _ => Some((column, Direction::Ascending)),
        };
        self.update_order();
    }

    fn update_order(&mut self) {
        let matches = |row: &Row| {
            let is_in = |only: &str| matches!(row.cells.get(STATE_COLUMN), Some(Value::Text(state)) if state == only);
            self.only.as_deref().is_none_or(is_in) && row.searched.contains(&self.filter)
        };
        let matching = self.rows.iter().enumerate().filter(|(_, row)| matches(row));
        self.order = matching.map(|(place, _)| place as u32).collect();
        if let Some((column, direction)) = self.sort {
            let rows = &self.rows;
            let cell = |place: &u32| rows.get(*place as usize).and_then(|row| row.cells.get(column));
            self.order.sort_by(|a, b| match column {
                // The rows are in the order of the squares.
                SQUARE_COLUMN => directed(a.cmp(b), direction),
                _ => compare(cell(a), cell(b), direction),
            });
        }
    }
}

/// Converts a row or column of the API. Larger numbers are outside all grids.
fn place(place: u32) -> u16 {
    u16::try_from(place).unwrap_or(u16::MAX)
}

/// Compares numbers before texts, and places empty cells last in both directions.
fn compare(a: Option<&Value>, b: Option<&Value>, direction: Direction) -> Ordering {
    let is_empty = |cell: Option<&Value>| matches!(cell, None | Some(Value::Nothing));
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => directed(a.total_cmp(b), direction),
        (Some(Value::Text(a)), Some(Value::Text(b))) => directed(a.cmp(b), direction),
        (a, b) if is_empty(a) || is_empty(b) => is_empty(a).cmp(&is_empty(b)),
        (a, _) => {
            directed(if matches!(a, Some(Value::Number(_))) { Ordering::Less } else { Ordering::Greater }, direction)
        }
    }
}

fn directed(ordering: Ordering, direction: Direction) -> Ordering {
    if direction == Direction::Descending { ordering.reverse() } else { ordering }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let column = |name: &str, label: &str| Column { name: name.into(), label: label.into() };
        let mut table = Table::new(vec![column("status", "Status"), column("title", "Title")], str::to_lowercase);
        let line = |column: u16, state: &str, detail: serde_json::Value| -> ResultLine {
            let line = serde_json::json!({"row": 0, "column": column, "state": state, "detail": detail});
            serde_json::from_value(line).expect("a result")
        };
        table.set_results(&[
            line(0, "done", serde_json::json!({"status": 200, "title": "Beta"})),
            line(1, "failed", serde_json::json!({"status": 404, "title": "alpha"})),
            line(2, "pending", serde_json::Value::Null),
            line(3, "done", serde_json::json!({"status": 30, "title": "Gamma"})),
        ]);
        table
    }

    fn shown(table: &Table) -> Vec<u16> {
        table.window(0).map(|row| row.square.column).collect()
    }

    #[test]
    fn rows_are_sorted_by_numbers_and_empty_cells_are_last() {
        let mut table = table();
        assert_eq!(shown(&table), [0, 1, 2, 3]);
        table.sort_by(4);
        assert_eq!(shown(&table), [3, 0, 1, 2]);
        table.sort_by(4);
        assert_eq!(shown(&table), [1, 0, 3, 2]);
        table.sort_by(4);
        assert_eq!(shown(&table), [0, 1, 2, 3]);
        table.sort_by(0);
        table.sort_by(0);
        assert_eq!(shown(&table), [3, 2, 1, 0]);
    }

    #[test]
    fn rows_match_by_text_and_state() {
        let mut table = table();
        table.set_filter("A");
        assert_eq!(shown(&table), [0, 1, 3]);
        table.set_only("done");
        assert_eq!(shown(&table), [0, 3]);
        table.set_filter("");
        table.set_only("");
        assert_eq!(shown(&table), [0, 1, 2, 3]);
        let used: Vec<usize> = table.used_columns().iter().map(|(place, _)| *place).collect();
        assert_eq!(used, [0, 2, 4, 5]);
    }

    #[test]
    fn the_row_of_a_square_comes_into_sight() {
        let mut table = Table::new(Vec::new(), str::to_lowercase);
        let line = |column: u16| serde_json::json!({"row": 0, "column": column, "state": "done"});
        let results: Vec<ResultLine> =
            (0..1_000).filter_map(|column| serde_json::from_value(line(column)).ok()).collect();
        table.set_results(&results);
        assert_eq!(table.window(0).count(), WINDOW_ROWS);
        let top = table.scroll_to(Square { row: 0, column: 500 }).expect("it matches");
        assert_eq!(top, 497 * ROW_HEIGHT_PX);
        let first = table.first_at(top, 0);
        assert!(table.window(first).any(|row| row.square.column == 500));
        assert_eq!(table.first_at(top + ROW_HEIGHT_PX, first), first);
        table.set_filter("nowhere");
        assert_eq!(table.first_at(top, first), 0);
        assert_eq!(table.scroll_to(Square { row: 0, column: 500 }), None);
    }
}
