//! Rows, columns and the squares between them.

use serde::{Deserialize, Serialize};

/// The most rows, and the most columns, that a grid can have.
pub const MAX_SIDE: u16 = 4096;

/// The most squares that a grid can have.
pub const MAX_SQUARES: u32 = 1 << 20;

/// The shape of a quilt: 1 to [`MAX_SIDE`] rows and columns, at most [`MAX_SQUARES`] squares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    rows: u16,
    columns: u16,
}

impl Grid {
    /// A grid of this shape, or `None` where it would be empty or too large.
    #[must_use]
    pub fn new(rows: u16, columns: u16) -> Option<Self> {
        let grid = Self { rows, columns };
        let fits = (1..=MAX_SIDE).contains(&rows) && (1..=MAX_SIDE).contains(&columns);
        (fits && grid.squares() <= MAX_SQUARES).then_some(grid)
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

    /// The number of squares, which is the number of tasks.
    #[must_use]
    pub fn squares(self) -> u32 {
        u32::from(self.rows) * u32::from(self.columns)
    }

    /// The index of a square, or `None` where it lies outside.
    #[must_use]
    pub fn index(self, square: Square) -> Option<Index> {
        (square.row < self.rows && square.column < self.columns)
            .then(|| Index(u32::from(square.row) * u32::from(self.columns) + u32::from(square.column)))
    }

    /// The square at an index of this grid.
    #[must_use]
    pub fn square(self, index: Index) -> Square {
        let columns = u32::from(self.columns);
        // A row and a column of a grid fit in 16 bits, as `MAX_SIDE` does.
        Square { row: (index.0 / columns) as u16, column: (index.0 % columns) as u16 }
    }
}

/// A place in the quilt; both coordinates count from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Square {
    /// The row, from the top.
    pub row: u16,
    /// The column, from the left.
    pub column: u16,
}

/// A square's place in reading order: `row * columns + column`.
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
    fn index_and_square_are_inverse() {
        let grid = Grid::new(3, 5).expect("small");
        for index in (0..grid.squares()).map(Index) {
            assert_eq!(grid.index(grid.square(index)), Some(index));
        }
        assert_eq!(grid.index(Square { row: 3, column: 0 }), None);
        assert_eq!(grid.index(Square { row: 0, column: 5 }), None);
    }
}
