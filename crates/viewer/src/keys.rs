//! Keyboard navigation in a grid.

use quilt::{Grid, Square};

/// Returns the square to which a key moves the focus; `None` for other keys. `key` is a `KeyboardEvent.key` of the DOM.
#[must_use]
pub fn step(grid: Grid, here: Square, key: &str, with_control: bool) -> Option<Square> {
    let Square { row, column } = here;
    let (last_row, last_column) = (grid.rows().saturating_sub(1), grid.last_column(row));
    let there = match key {
        "ArrowUp" => Square { row: row.saturating_sub(1), column },
        "ArrowDown" => Square { row: row.saturating_add(1).min(last_row), column },
        "ArrowLeft" => Square { row, column: column.saturating_sub(1) },
        "ArrowRight" => Square { row, column: column.saturating_add(1).min(last_column) },
        "Home" if with_control => Square { row: 0, column: 0 },
        "End" if with_control => Square { row: last_row, column: grid.last_column(last_row) },
        "Home" => Square { row, column: 0 },
        "End" => Square { row, column: last_column },
        "PageUp" => Square { row: 0, column },
        "PageDown" => Square { row: last_row, column },
        _ => return None,
    };
    Some(Square { column: there.column.min(grid.last_column(there.row)), ..there })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lead_to_the_neighbors_and_stop_at_the_edges() {
        let grid = Grid::new(3, 4).expect("small");
        let corner = Square { row: 2, column: 3 };
        let at = |key, control| step(grid, corner, key, control);
        assert_eq!(at("ArrowRight", false), Some(corner));
        assert_eq!(at("ArrowDown", false), Some(corner));
        assert_eq!(at("ArrowLeft", false), Some(Square { row: 2, column: 2 }));
        assert_eq!(at("Home", false), Some(Square { row: 2, column: 0 }));
        assert_eq!(at("Home", true), Some(Square { row: 0, column: 0 }));
        assert_eq!(at("PageUp", false), Some(Square { row: 0, column: 3 }));
        assert_eq!(at("Tab", false), None);
    }

    #[test]
    fn keys_stay_within_a_last_row_that_is_shorter() {
        let grid = Grid::with_squares(3, 4, 10).expect("small");
        let there = |row, column, key, control| step(grid, Square { row, column }, key, control);
        let end = Some(Square { row: 2, column: 1 });
        assert_eq!(there(1, 3, "ArrowDown", false), end);
        assert_eq!(there(2, 1, "ArrowRight", false), end);
        assert_eq!(there(0, 3, "PageDown", false), end);
        assert_eq!(there(0, 0, "End", true), end);
        assert_eq!(there(0, 0, "End", false), Some(Square { row: 0, column: 3 }));
    }
}
