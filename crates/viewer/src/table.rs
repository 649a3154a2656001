//! The results of a batch as a table. The server filters, sorts and pages them; the table holds the rows around what is in sight.

mod columns;
mod scroll;

use api::{ResultLine, ResultPage, ResultSort, SortOrder};

pub use self::columns::{ATTEMPTS, COLOR, Column, DURATION, ITEM, REASON, SQUARE, STATE, Value, WORKER, sort_of};
use crate::address::encoded;
use crate::format;

/// The height of a row, in CSS pixels.
pub const ROW_HEIGHT_PX: usize = 34;

/// How many rows are rendered: those in sight, and some above and below.
pub const WINDOW_ROWS: usize = 48;

/// How many rows are loaded at once.
const PAGE_ROWS: usize = 100;

/// How many rows are in memory, at most.
const MAX_LOADED_ROWS: usize = 1_000;

/// Rows that the server returned together.
#[derive(Debug)]
struct Chunk {
    /// The number of the first row, from 0.
    first: usize,
    /// The cursor that returned them.
    cursor: String,
    /// How many there are.
    len: usize,
    /// Empty if they were dropped to save memory.
    rows: Vec<ResultLine>,
}

/// The table.
#[derive(Debug)]
pub struct Table {
    columns: Vec<Column>,
    /// Whether a loaded row had a value, for each column.
    used: Vec<bool>,
    text: String,
    state: String,
    reason: String,
    sort: Option<(ResultSort, SortOrder)>,
    /// Counts the queries, so that no response to an earlier one is taken for the present one's.
    query: u32,
    /// Counts the filters and orders that were set.
    selections: u32,
    /// Whether the rows are those of an earlier query, and shown until the first response to the present one.
    is_stale: bool,
    /// Counts the changes that replace rendered rows.
    generation: u32,
    chunks: Vec<Chunk>,
    /// How many rows there are to show. With a filter, those that are known so far.
    len: usize,
    /// What follows the number in cursors of the present order, so that the server refuses them once the order is another.
    order: String,
    /// With a filter, the cursor after the known rows, if more may follow.
    next: Option<String>,
    /// How many rows match, if that is known.
    matching: Option<u32>,
    /// How many squares were searched.
    searched: u32,
    /// The first row to render.
    first: usize,
}

/// The number of squares before a cursor.
fn rank_of(cursor: &str) -> u32 {
    cursor.split('.').next().and_then(|rank| rank.parse().ok()).unwrap_or_default()
}

impl Table {
    /// An empty table with the columns of all kinds and those of one kind.
    #[must_use]
    pub fn new(own: Vec<Column>) -> Self {
        Self {
            columns: columns::common().into_iter().chain(own).collect(),
            used: Vec::new(),
            text: String::new(),
            state: String::new(),
            reason: String::new(),
            sort: None,
            query: 0,
            selections: 0,
            is_stale: true,
            generation: 0,
            chunks: Vec::new(),
            len: 0,
            order: String::new(),
            next: None,
            matching: None,
            searched: 0,
            first: 0,
        }
    }

    /// The query of the next request, with a fragment that differs for each query; `None` if all rows in the window are loaded.
    #[must_use]
    pub fn request(&self) -> Option<String> {
        let (_, cursor) = self.wanted()?;
        let (sort, order) = self.sort.map_or(("", ""), |(sort, order)| (sort.as_str(), order.as_str()));
        let mut query = format!("?format=json&attempts=true&limit={PAGE_ROWS}");
        let members = [
            ("after", &*cursor),
            ("text", &self.text),
            ("state", &self.state),
            ("reason", &self.reason),
            ("sort", sort),
            ("order", order),
        ];
        for (name, value) in members {
            if !value.is_empty() {
                query.extend(["&", name, "="]);
                query.extend(encoded(value));
            }
        }
        query.push('#');
        query.push_str(&self.query.to_string());
        Some(query)
    }

    /// The number of the first row of the next request, and its cursor.
    fn wanted(&self) -> Option<(usize, String)> {
        if self.is_filtered() {
            if self.is_stale {
                return Some((0, String::new()));
            }
            let row = (self.first..self.first + WINDOW_ROWS).find(|row| self.row(*row).is_none())?;
            let dropped = self.chunks.iter().find(|chunk| (chunk.first..chunk.first + chunk.len).contains(&row));
            return match dropped {
                Some(chunk) => Some((chunk.first, chunk.cursor.clone())),
                None => Some((self.len, self.next.clone()?)),
            };
        }
        // Without a filter, the number of a row and the order are its cursor.
        let row = match self.is_stale {
            true => self.first,
            false => {
                let end = self.len.min(self.first + WINDOW_ROWS);
                (self.first..end).find(|row| self.row(*row).is_none())?
            }
        };
        let start = row - row % PAGE_ROWS;
        // A page of large rows ends early.
        let start = if self.is_stale || self.row(start).is_none() { start } else { row };
        let order = if self.is_stale { "" } else { &*self.order };
        Some((start, if start == 0 { String::new() } else { start.to_string() + order }))
    }

    /// Adds the response to the present request.
    pub fn receive(&mut self, page: ResultPage) {
        let Some((first, cursor)) = self.wanted() else { return };
        if std::mem::take(&mut self.is_stale) {
            self.chunks.clear();
            self.order.clear();
            self.used = self.columns.iter().map(|_| false).collect();
            self.matching = None;
            self.generation += 1;
        }
        let ResultPage { rows, next, matching, searched } = page;
        self.note_used(&rows);
        self.matching = matching.or(self.matching);
        if let Some((_, order)) = next.as_deref().and_then(|next| next.split_at_checked(next.find('.')?)) {
            self.order = order.into();
        }
        if let Err(rows) = self.restore(first, rows, next.as_deref()) {
            let len = rows.len();
            if self.is_filtered() {
                // If these rows were known before, the squares have changed: what follows them is loaded again.
                self.chunks.retain(|chunk| chunk.first < first);
                (self.len, self.next, self.searched) = (first + len, next, searched);
                if self.next.is_none() {
                    self.matching = u32::try_from(self.len).ok();
                }
            } else {
                self.chunks.retain(|chunk| chunk.first != first);
                (self.len, self.next) = (self.matching.unwrap_or_default() as usize, None);
            }
            if len > 0 {
                self.chunks.push(Chunk { first, cursor, len, rows });
            }
        }
        if self.first >= self.len && self.next.is_none() {
            self.first = 0;
        }
        self.drop_distant(first);
    }

    /// Puts rows that were dropped back. Returns them if they are others than before.
    ///
    /// A text search may go on for longer than before, or for less: then the rest of the rows stays dropped, with a cursor of its own.
    fn restore(&mut self, first: usize, mut rows: Vec<ResultLine>, next: Option<&str>) -> Result<(), Vec<ResultLine>> {
        let is_search = !self.text.is_empty();
        let following = self.chunks.iter().filter(|chunk| chunk.first > first).min_by_key(|chunk| chunk.first);
        let following = following.map(|chunk| &*chunk.cursor).or(self.next.as_deref()).map(rank_of);
        let Some(chunk) = self.chunks.iter_mut().find(|chunk| chunk.first == first) else { return Err(rows) };
        let (len, known) = (rows.len(), chunk.len);
        match next {
            Some(next) if is_search && len < known && following.is_none_or(|rank| rank_of(next) < rank) => {
                if len == 0 {
                    chunk.cursor = next.into();
                    return Ok(());
                }
                (chunk.len, chunk.rows) = (len, rows);
                let rest = Chunk { first: first + len, cursor: next.into(), len: known - len, rows: Vec::new() };
                self.chunks.push(rest);
            }
            _ if len == known || is_search && len > known => {
                rows.truncate(known);
                chunk.rows = rows;
            }
            _ => return Err(rows),
        }
        Ok(())
    }

    /// Notes which columns have values.
    fn note_used(&mut self, rows: &[ResultLine]) {
        for place in 0..self.columns.len() {
            let has_value = || rows.iter().any(|row| !self.text(row, place).is_empty());
            if self.used.get(place) == Some(&false) && has_value() {
                // Rendered rows lack the column.
                self.generation += 1;
                if let Some(used) = self.used.get_mut(place) {
                    *used = true;
                }
            }
        }
    }

    /// Drops rows that are far from the window, but not those that start at `kept`.
    fn drop_distant(&mut self, kept: usize) {
        let mut loaded: usize = self.chunks.iter().map(|chunk| chunk.rows.len()).sum();
        while loaded > MAX_LOADED_ROWS {
            let others = self.chunks.iter_mut().filter(|chunk| chunk.first != kept && !chunk.rows.is_empty());
            let Some(farthest) = others.max_by_key(|chunk| chunk.first.abs_diff(self.first)) else { return };
            loaded -= std::mem::take(&mut farthest.rows).len();
        }
    }

    /// How many rows there are to show. With a filter, those that are known so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no rows to show.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the response to the present query has not arrived yet.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// The first row to render.
    #[must_use]
    pub fn first(&self) -> usize {
        self.first
    }

    /// The numbers of the rows to render.
    #[must_use]
    pub fn window(&self) -> std::ops::Range<usize> {
        self.first..self.len.min(self.first + WINDOW_ROWS)
    }

    /// Moves the window.
    pub fn set_first(&mut self, first: usize) {
        self.first = first;
    }

    /// A row by its number; `None` if it is not loaded.
    #[must_use]
    pub fn row(&self, number: usize) -> Option<&ResultLine> {
        self.chunks.iter().find_map(|chunk| chunk.rows.get(number.checked_sub(chunk.first)?))
    }

    /// A number that differs after every change of rendered rows.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The columns in which a loaded row has a value, with their places.
    #[must_use]
    pub fn used_columns(&self) -> Vec<(usize, &Column)> {
        self.columns.iter().enumerate().filter(|(place, _)| self.used.get(*place) == Some(&true)).collect()
    }

    /// The value of a row in a column; empty if it has none.
    #[must_use]
    pub fn text(&self, row: &ResultLine, place: usize) -> String {
        self.columns.get(place).map_or(String::new(), |column| columns::text(row, place, column))
    }

    /// What is known of the number of rows, for a batch of so many tasks.
    #[must_use]
    pub fn count(&self, tasks: u32) -> String {
        let squares = format::squares(tasks);
        match self.matching {
            _ if self.chunks.is_empty() && self.next.is_none() && self.matching.is_none() => String::new(),
            Some(matching) if matching == tasks => squares,
            Some(matching) => format!("{} of {squares}", format::count(matching)),
            None => {
                let percent = u64::from(self.searched) * 100 / u64::from(tasks.max(1));
                format!("{} found, {percent}% of {squares} searched", format::count(self.len as u32))
            }
        }
    }

    /// Whether the server selects rows, so that a row's number is not its cursor.
    fn is_filtered(&self) -> bool {
        [&self.text, &self.state, &self.reason].iter().any(|filter| !filter.is_empty())
    }

    /// The reason that rows have to have; empty for all of them.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Selects the rows with a text.
    pub fn set_text(&mut self, text: &str) {
        self.text = text.into();
        self.start_query();
    }

    /// Selects squares in a state, by its name in the API; all for an empty one.
    pub fn set_state(&mut self, state: &str) {
        self.state = state.into();
        self.start_query();
    }

    /// Selects squares that failed for a reason; all for an empty one.
    pub fn set_reason(&mut self, reason: &str) {
        self.reason = reason.into();
        self.start_query();
    }

    /// The value by which the rows are sorted.
    #[must_use]
    pub fn sort(&self) -> Option<(ResultSort, SortOrder)> {
        self.sort
    }

    /// Sorts by a value: ascending, on the next call descending, then not at all.
    pub fn sort_by(&mut self, sort: ResultSort) {
        self.sort = match self.sort {
            Some((known, SortOrder::Ascending)) if known == sort => Some((sort, SortOrder::Descending)),
            Some((known, SortOrder::Descending)) if known == sort => None,
            _ => Some((sort, SortOrder::Ascending)),
        };
        self.start_query();
    }

    /// How often a filter or an order was set. Each time the table starts at its first row.
    #[must_use]
    pub fn selections(&self) -> u32 {
        self.selections
    }

    fn start_query(&mut self) {
        self.first = 0;
        self.selections = self.selections.wrapping_add(1);
        self.reload(true);
    }

    /// Loads the rows in the window again, and those elsewhere when they come into sight. While the batch runs, only its squares are sorted.
    pub fn reload(&mut self, is_over: bool) {
        if !is_over && self.sort.is_some_and(|(sort, _)| sort != ResultSort::Square) {
            self.sort = None;
        }
        self.query = self.query.wrapping_add(1);
        self.is_stale = true;
    }
}

#[cfg(test)]
mod tests;
