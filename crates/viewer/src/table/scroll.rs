//! Where rows are, in pixels, and which rows are in sight.

use api::{ResultLine, ResultSort, SortOrder};
use quilt::{Index, Square};

use super::{ROW_HEIGHT_PX, Table, WINDOW_ROWS};

/// How many of the rendered rows are above what is in sight.
const ROWS_ABOVE: usize = 12;

/// The window moves by this many rows at a time.
const WINDOW_STEP_ROWS: usize = 8;

/// The height of the largest table, in CSS pixels. Browsers limit heights, the lowest limit being near 17.8 million. In a higher table a
/// pixel stands for more than its share of a row.
pub(super) const MAX_HEIGHT_PX: u64 = 16_000_000;

impl Table {
    /// How far below the start of the table a row begins, in pixels.
    #[must_use]
    pub fn top_of(&self, row: usize) -> usize {
        let (row, len) = (row as u64, self.len.max(1) as u64);
        // At most `MAX_HEIGHT_PX`.
        (row * (len * ROW_HEIGHT_PX as u64).min(MAX_HEIGHT_PX) / len) as usize
    }

    /// The height of the rows after the window, in pixels.
    #[must_use]
    pub fn space_below(&self) -> usize {
        let rendered = self.window().len() * ROW_HEIGHT_PX;
        self.top_of(self.len).saturating_sub(self.top_of(self.first) + rendered)
    }

    /// The first row to render when the table is scrolled by `top` pixels. It stays where it is for small moves.
    #[must_use]
    pub fn first_at(&self, top: usize) -> usize {
        let height = self.top_of(self.len).max(1) as u64;
        let at_top = (top as u64 * self.len as u64 / height) as usize;
        // The last window is full: a shorter one would move the end of the table, and with it the window.
        let wanted = at_top.saturating_sub(ROWS_ABOVE).min(self.len.saturating_sub(WINDOW_ROWS));
        if wanted.abs_diff(self.first) >= WINDOW_STEP_ROWS || wanted == 0 { wanted } else { self.first }
    }

    /// How far to scroll, in pixels, to bring the row of a square into sight; `None` if it is not known where that is.
    #[must_use]
    pub fn scroll_to(&self, square: Square, index: Index) -> Option<usize> {
        let is_row = |row: &ResultLine| (row.row, row.column) == (square.row.into(), square.column.into());
        let loaded = self.chunks.iter().find_map(|chunk| Some(chunk.first + chunk.rows.iter().position(is_row)?));
        let row = loaded.or_else(|| match self.sort {
            _ if self.is_filtered() => None,
            None | Some((ResultSort::Square, SortOrder::Ascending)) => Some(index.0 as usize),
            Some((ResultSort::Square, SortOrder::Descending)) => self.len.checked_sub(index.0 as usize + 1),
            Some(_) => None,
        })?;
        (row < self.len).then(|| self.top_of(row.saturating_sub(3)))
    }
}
