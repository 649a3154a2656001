//! The results of a batch as a table: what was asked for, and how the visitor looks at it.

use std::cmp::Ordering;

use leptos::task::spawn_local;
use quilt::{Grid, Index, Square};

use super::Page;
use crate::model::ActionError;
use crate::request::{self, Record, Value};

/// The most rows of a table. A file has them all.
pub(crate) const MAX_ROWS: usize = 20_000;

/// The height of a row, in pixels.
pub(crate) const ROW_HEIGHT: usize = 34;

/// How many rows are made at a time: what is in sight, and some above and below it.
pub(crate) const MADE: usize = 48;

/// How many of those are above what is in sight.
const ABOVE: usize = 12;

/// How far a table is scrolled before other rows are made.
const STEP: usize = 8;

/// A column of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    /// The name of the value, as it stands in results.
    pub(crate) name: String,
    /// What stands above it.
    pub(crate) label: String,
}

/// The columns that the tables of all kinds of work have.
const COMMON: [(&str, &str); 4] = [("square", "Square"), ("item", "Item"), ("state", "State"), ("failed", "Reason")];

/// One square's result.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) square: Square,
    /// What stands in each column.
    pub(crate) cells: Vec<Value>,
}

/// What is known of the rows.
#[derive(Debug, Default)]
pub(crate) enum Rows {
    /// Nobody has asked for them.
    #[default]
    Unasked,
    /// They are on their way.
    Asked,
    /// All of them, in the order of the squares.
    Here(Vec<Row>),
    /// They did not come.
    Failed(String),
}

/// The table.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) columns: Vec<Column>,
    pub(crate) is_open: bool,
    pub(crate) rows: Rows,
    /// The column after which they are sorted, and whether the last comes first.
    pub(crate) sort: Option<(usize, bool)>,
    /// What has to stand in a row.
    filter: String,
    /// How a square has to stand.
    only: Option<String>,
    /// The rows that are shown, in their order.
    order: Vec<u32>,
    /// The first row that is made.
    first: usize,
    /// The row that is to be in sight.
    wanted: Option<usize>,
}

impl Results {
    /// With a kind's own columns, as the server writes them: a name, an equals sign and a label in each line.
    pub(crate) fn new(columns: &str) -> Self {
        let own = columns.lines().filter_map(|line| line.split_once('='));
        let columns = COMMON.into_iter().chain(own);
        let columns = columns.map(|(name, label)| Column { name: name.into(), label: label.into() }).collect();
        Self { columns, ..Self::default() }
    }

    /// The rows that are made now, how many are before them, and how many there are to be shown.
    pub(crate) fn window(&self) -> (impl Iterator<Item = &Row>, usize, usize) {
        let rows: &[Row] = match &self.rows {
            Rows::Here(rows) => rows,
            _ => &[],
        };
        let made = self.order.iter().skip(self.first).take(MADE);
        (made.filter_map(|row| rows.get(*row as usize)), self.first, self.order.len())
    }

    /// What came, or did not.
    fn receive(&mut self, asked: Result<Vec<Record>, ActionError>) {
        self.rows = match asked {
            Ok(records) => Rows::Here(records.iter().map(|record| self.row(record)).collect()),
            Err(error) => Rows::Failed(error.to_string()),
        };
        self.arrange();
    }

    fn row(&self, record: &Record) -> Row {
        let (row, column) = (record.number("row") as u16, record.number("column") as u16);
        let detail = record.record("detail");
        let own = self.columns.iter().skip(COMMON.len()).map(|column| match &detail {
            Some(detail) => detail.value(&column.name),
            None => Value::Nothing,
        });
        let common = [
            Value::Text(format!("{row}, {column}")),
            record.value("item"),
            record.value("state"),
            record.value("failed"),
        ];
        Row { square: Square { row, column }, cells: common.into_iter().chain(own).collect() }
    }

    /// Whether something stands in a column at all.
    pub(crate) fn is_used(&self, column: usize) -> bool {
        match &self.rows {
            Rows::Here(rows) => {
                rows.iter().any(|row| row.cells.get(column).is_some_and(|cell| *cell != Value::Nothing))
            }
            _ => false,
        }
    }

    /// Shows only rows with this text in them.
    pub(super) fn set_filter(&mut self, filter: &str) {
        self.filter = filter.to_lowercase();
        self.arrange();
    }

    /// Shows only squares that stand like this; an empty name for all of them.
    pub(super) fn set_only(&mut self, only: &str) {
        self.only = Some(only.to_owned()).filter(|only| !only.is_empty());
        self.arrange();
    }

    /// Sorts after a column; after the same one again, the other way round; then not at all.
    pub(super) fn sort_by(&mut self, column: usize) {
        self.sort = match self.sort {
            Some((known, false)) if known == column => Some((column, true)),
            Some((known, true)) if known == column => None,
            _ => Some((column, false)),
        };
        self.arrange();
    }

    /// Scrolled so far, in pixels.
    pub(super) fn scrolled(&mut self, top: usize) {
        let first = (top / ROW_HEIGHT).saturating_sub(ABOVE);
        if first.abs_diff(self.first) >= STEP || first == 0 {
            self.first = first;
        }
    }

    /// Brings the row of a square into sight, if it is shown.
    pub(super) fn show(&mut self, square: Square) {
        let Rows::Here(rows) = &self.rows else { return };
        let of_square = |row: &u32| rows.get(*row as usize).is_some_and(|row| row.square == square);
        self.wanted = self.order.iter().position(of_square).filter(|_| self.is_open);
    }

    /// How far the table has to be scrolled, if it has to.
    pub(super) fn take_wanted(&mut self) -> Option<usize> {
        let wanted = self.wanted.take()?;
        let top = wanted.saturating_sub(3) * ROW_HEIGHT;
        self.scrolled(top);
        Some(top)
    }

    fn arrange(&mut self) {
        let Rows::Here(rows) = &self.rows else {
            self.order.clear();
            return;
        };
        let is_shown = |row: &Row| {
            let stands = |only: &str| row.cells.get(2).is_some_and(|state| state.is(only));
            let has = |cell: &Value| cell.to_string().to_lowercase().contains(&self.filter);
            self.only.as_deref().is_none_or(stands) && (self.filter.is_empty() || row.cells.iter().any(has))
        };
        let shown = rows.iter().enumerate().filter(|(_, row)| is_shown(row));
        self.order = shown.map(|(place, _)| place as u32).collect();
        if let Some((column, is_reversed)) = self.sort {
            let cell = |place: &u32| rows.get(*place as usize).and_then(|row| row.cells.get(column));
            // The squares are in their order already.
            let compare = |a: &u32, b: &u32| if column == 0 { a.cmp(b) } else { order(cell(a), cell(b)) };
            self.order.sort_by(compare);
            if is_reversed {
                // What says nothing stays at the end.
                let with_value = self.order.iter().take_while(|place| column == 0 || is_something(cell(place))).count();
                if let Some(values) = self.order.get_mut(..with_value) {
                    values.reverse();
                }
            }
        }
        self.first = self.first.min(self.order.len().saturating_sub(MADE));
    }
}

fn is_something(cell: Option<&Value>) -> bool {
    cell.is_some_and(|cell| *cell != Value::Nothing)
}

/// Numbers before texts, and what says nothing last.
fn order(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => a.total_cmp(b),
        (Some(Value::Text(a)), Some(Value::Text(b))) => a.cmp(b),
        (a, b) => rank(a).cmp(&rank(b)),
    }
}

fn rank(cell: Option<&Value>) -> u8 {
    match cell {
        Some(Value::Number(_)) => 0,
        Some(Value::Text(_)) => 1,
        Some(Value::Nothing) | None => 2,
    }
}

/// Asks for the results.
pub(super) fn ask(page: Page) {
    let Some(id) = page.update(|state| {
        state.results.rows = Rows::Asked;
        state.id
    }) else {
        return;
    };
    spawn_local(async move {
        let asked = request::get_lines(&format!("/api/batches/{id}/results?format=ndjson&limit={MAX_ROWS}")).await;
        page.update(|state| {
            state.results.receive(asked);
            state.chosen.into_iter().for_each(|square| state.results.show(square));
        });
    });
}

/// The square that a command names by its index.
pub(super) fn square_of(grid: Grid, index: &str) -> Option<Square> {
    let index = index.parse().ok().filter(|index| *index < grid.squares())?;
    Some(grid.square(Index(index)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> Results {
        let mut results = Results::new("status=Status\ntitle=Title");
        let row = |column: u16, state: &str, status: Option<f64>, title: &str| Row {
            square: Square { row: 0, column },
            cells: vec![
                Value::Text(format!("0, {column}")),
                Value::Nothing,
                Value::Text(state.into()),
                Value::Nothing,
                status.map_or(Value::Nothing, Value::Number),
                Value::Text(title.into()),
            ],
        };
        results.rows = Rows::Here(vec![
            row(0, "done", Some(200.0), "Beta"),
            row(1, "failed", Some(404.0), "alpha"),
            row(2, "pending", None, ""),
            row(3, "done", Some(30.0), "Gamma"),
        ]);
        results.is_open = true;
        results.arrange();
        results
    }

    fn shown(results: &Results) -> Vec<u16> {
        results.window().0.map(|row| row.square.column).collect()
    }

    #[test]
    fn rows_are_sorted_by_numbers_and_what_says_nothing_is_last() {
        let mut results = results();
        assert_eq!(shown(&results), [0, 1, 2, 3]);
        results.sort_by(4);
        assert_eq!(shown(&results), [3, 0, 1, 2]);
        results.sort_by(4);
        assert_eq!(shown(&results), [1, 0, 3, 2]);
        results.sort_by(4);
        assert_eq!(shown(&results), [0, 1, 2, 3]);
        results.sort_by(0);
        results.sort_by(0);
        assert_eq!(shown(&results), [3, 2, 1, 0]);
    }

    #[test]
    fn rows_are_those_with_a_text_and_a_state() {
        let mut results = results();
        results.set_filter("A");
        assert_eq!(shown(&results), [0, 1, 3]);
        results.set_only("done");
        assert_eq!(shown(&results), [0, 3]);
        results.set_filter("");
        results.set_only("");
        assert_eq!(shown(&results), [0, 1, 2, 3]);
        assert!(results.is_used(4) && !results.is_used(1));
    }

    #[test]
    fn the_row_of_a_square_comes_into_sight() {
        let mut results = Results::new("");
        let rows = (0..1_000).map(|column| Row { square: Square { row: 0, column }, cells: Vec::new() });
        results.rows = Rows::Here(rows.collect());
        results.is_open = true;
        results.arrange();
        assert_eq!(results.window().0.count(), MADE);
        results.show(Square { row: 0, column: 500 });
        assert_eq!(results.take_wanted(), Some(497 * ROW_HEIGHT));
        assert!(shown(&results).contains(&500));
        assert_eq!(results.take_wanted(), None);
    }
}
