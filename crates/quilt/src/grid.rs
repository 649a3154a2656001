//! Grids of rows and columns.

use serde::{Deserialize, Serialize};

/// The maximum number of rows, and of columns.
pub const MAX_SIDE: u16 = 4096;

/// The maximum number of squares.
pub const MAX_SQUARES: u32 = 1 << 20;

/// The shape of a quilt: 1 to [`MAX_SIDE`] rows and columns, and at most [`MAX_SQUARES`] squares. The last row may be shorter than the
/// others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    rows: u16,
    columns: u16,
    squares: u32,
}

impl Grid {
    /// A full grid of this shape; `None` if it would be empty or too large.
    #[must_use]
    pub fn new(rows: u16, columns: u16) -> Option<Self> {
        Self::with_squares(rows, columns, u32::from(rows) * u32::from(columns))
    }

    /// A grid with this number of squares; `None` if they do not end in the last row, or if it would be too large.
    #[must_use]
    pub fn with_squares(rows: u16, columns: u16, squares: u32) -> Option<Self> {
        let fits = (1..=MAX_SIDE).contains(&rows) && (1..=MAX_SIDE).contains(&columns);
        let is_filled =
            fits && (1..=MAX_SQUARES).contains(&squares) && squares.div_ceil(columns.into()) == u32::from(rows);
        is_filled.then_some(Self { rows, columns, squares })
    }

    /// The most nearly square grid with this number of squares; `None` if there are none or too many.
    #[must_use]
    pub fn near_square(squares: u32) -> Option<Self> {
        let columns = f64::from(squares).sqrt().ceil() as u16;
        let rows = squares.checked_div(columns.into())? + u32::from(!squares.is_multiple_of(columns.into()));
        Self::with_squares(u16::try_from(rows).ok()?, columns, squares)
    }

    /// The number of rows.
    #[must_use]
    pub const fn rows(self) -> u16 {
        self.rows
    }

    /// The number of columns.
    #[must_use]
    pub const fn columns(self) -> u16 {
        self.columns
    }

    /// The number of squares, which equals the number of tasks.
    #[must_use]
    pub const fn squares(self) -> u32 {
        self.squares
    }

    /// Whether all rows have the same length.
    #[must_use]
    pub fn is_full(self) -> bool {
        self.squares == u32::from(self.rows) * u32::from(self.columns)
    }

    /// The last column of a row of this grid.
    #[must_use]
    pub fn last_column(self, row: u16) -> u16 {
        let before = u32::from(row) * u32::from(self.columns);
        // At most the number of columns, so it fits into 16 bits.
        self.squares.saturating_sub(before).clamp(1, self.columns.into()) as u16 - 1
    }

    /// The index of a square; `None` outside the grid.
    #[must_use]
    pub fn index(self, square: Square) -> Option<Index> {
        let index = u32::from(square.row) * u32::from(self.columns) + u32::from(square.column);
        (square.column < self.columns && index < self.squares).then_some(Index(index))
    }

    /// The square at an index of this grid.
    #[must_use]
    pub fn square(self, index: Index) -> Square {
        let columns = u32::from(self.columns);
        // Rows and columns are at most `MAX_SIDE`, so they fit into 16 bits.
        Square { row: (index.0 / columns) as u16, column: (index.0 % columns) as u16 }
    }
}

/// A square of a quilt, by its row and column from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Square {
    /// The row, from the top.
    pub row: u16,
    /// The column, from the left.
    pub column: u16,
}

/// The index of a square in reading order: `row * columns + column`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Index(pub u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_has_squares_and_not_too_many() {
        assert_eq!(Grid::new(0, 8), None);
        assert_eq!(Grid::new(8, 0), None);
        assert_eq!(Grid::new(4097, 1), None);
        assert_eq!(Grid::new(4096, 257), None);
        assert!(Grid::new(4096, 256).is_some());
    }

    #[test]
    fn the_last_row_may_be_shorter_and_is_not_empty() {
        assert_eq!(Grid::with_squares(3, 5, 10), None);
        assert_eq!(Grid::with_squares(3, 5, 16), None);
        let grid = Grid::with_squares(3, 5, 11).expect("eleven in rows of five");
        assert!(!grid.is_full());
        assert_eq!((grid.last_column(0), grid.last_column(1), grid.last_column(2)), (4, 4, 0));
        assert_eq!(grid.index(Square { row: 2, column: 0 }), Some(Index(10)));
        assert_eq!(grid.index(Square { row: 2, column: 1 }), None);
    }

    #[test]
    fn any_number_of_squares_has_a_grid_of_nearly_equal_sides() {
        assert_eq!(Grid::near_square(0), None);
        assert_eq!(Grid::near_square(MAX_SQUARES + 1), None);
        for squares in (1..2_000).chain([65_521, 999_983, MAX_SQUARES]) {
            let grid = Grid::near_square(squares).expect("within the limits");
            assert_eq!(grid.squares(), squares);
            assert!(grid.columns() - grid.rows() <= 1, "{grid:?}");
        }
    }

    #[test]
    fn index_and_square_are_inverse() {
        let grid = Grid::new(3, 5).expect("small");
        for index in (0..grid.squares()).map(Index) {
            assert_eq!(grid.index(grid.square(index)), Some(index));
        }
        assert_eq!(grid.index(Square { row: 3, column: 0 }), None);
        assert_eq!(grid.index(Square { row: 0, column: 5 }), None);
    }
}
