//! The layout of squares on the screen. It is that of the grid, unless the grid is so long or so wide that its squares would be invisible.

use quilt::{Grid, Square};

/// Up to this ratio of its sides, a grid is laid out as it is.
const MAX_RATIO: u32 = 4;

/// The grid in which the squares are displayed, in the same reading order: a longer or wider one is wrapped into a nearly square one.
#[must_use]
pub fn layout(grid: Grid) -> Grid {
    let (rows, columns) = (grid.rows(), grid.columns());
    let is_compact = u32::from(rows.max(columns)) <= MAX_RATIO * u32::from(rows.min(columns));
    // A grid is never too large to be wrapped, because the number of squares stays the same.
    if is_compact { grid } else { Grid::near_square(grid.squares()).unwrap_or(grid) }
}

/// The place of a square in the layout of its grid.
#[must_use]
pub fn place_of(grid: Grid, square: Square) -> Option<Square> {
    Some(layout(grid).square(grid.index(square)?))
}

/// The square at a place in the layout of its grid.
#[must_use]
pub fn square_at(grid: Grid, place: Square) -> Option<Square> {
    Some(grid.square(layout(grid).index(place)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sides(rows: u16, columns: u16) -> (u16, u16) {
        let layout = layout(Grid::new(rows, columns).expect("within the limits"));
        (layout.rows(), layout.columns())
    }

    #[test]
    fn long_and_wide_grids_are_wrapped() {
        assert_eq!(sides(8, 32), (8, 32));
        assert_eq!(sides(1, 4), (1, 4));
        assert_eq!(sides(1, 500), (22, 23));
        assert_eq!(sides(500, 1), (22, 23));
        assert_eq!(sides(3, 1_000), (55, 55));
        assert_eq!(sides(4_096, 1), (64, 64));
    }

    #[test]
    fn every_square_has_a_place_of_its_own() {
        let grid = Grid::new(3, 50).expect("small");
        for index in (0..grid.squares()).map(quilt::Index) {
            let square = grid.square(index);
            let place = place_of(grid, square).expect("it is in the grid");
            assert_eq!(layout(grid).index(place), Some(index));
            assert_eq!(square_at(grid, place), Some(square));
        }
        assert_eq!(place_of(grid, Square { row: 3, column: 0 }), None);
        assert_eq!(square_at(grid, Square { row: 12, column: 7 }), None);
    }
}
