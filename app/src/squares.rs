//! The squares of a quilt as elements: rendered in one go on the server, changed one by one in the browser.

#[cfg(any(feature = "ssr", test))]
use std::fmt::Write;

#[cfg(any(feature = "ssr", test))]
use crate::page::look::Standing;
use quilt::race::LastTry;
use quilt::{Grid, Index, SquareState};

/// The most squares that are drawn as elements.
pub(crate) const MAX_ELEMENTS: u32 = 4_096;

/// What a screen reader says, and what is shown for the square one points at.
pub(crate) fn label(grid: Grid, index: Index, state: SquareState<'_>, last: Option<LastTry>) -> String {
    let square = grid.square(index);
    let place = format!("Row {}, column {}", square.row, square.column);
    match (state, last) {
        (SquareState::Pending, Some(last)) if !last.is_done => {
            format!("{place}: retrying, attempt {} failed", last.number)
        }
        (SquareState::Pending, _) => format!("{place}: pending"),
        (SquareState::Done(color), _) => format!("{place}: done, {color}"),
        (SquareState::Failed(reason), _) => format!("{place}: failed, {reason}"),
    }
}

/// The rows of the grid with a cell for each square. The first cell can be reached with the tab key, and from there
/// the others with the arrow keys.
#[cfg(any(feature = "ssr", test))]
pub(crate) fn rows_html<'quilt>(grid: Grid, state: impl Fn(Index) -> SquareState<'quilt>) -> String {
    // A cell takes about 110 bytes.
    let mut html = String::with_capacity(grid.squares() as usize * 112);
    for row in 0..grid.rows() {
        html.push_str(r#"<div role="row">"#);
        for column in 0..=grid.last_column(row) {
            let index = Index(u32::from(row) * u32::from(grid.columns()) + u32::from(column));
            push_cell(&mut html, grid, index, state(index));
        }
        html.push_str("</div>");
    }
    html
}

/// What a quilt is drawn on that has too many squares for elements. Where there are no scripts there is a picture instead; and of a batch
/// that is over, which has the time to draw it, until the canvas is painted.
#[cfg(feature = "ssr")]
pub(crate) fn canvas_html(id: quilt::BatchId, grid: Grid, is_over: bool) -> String {
    let (rows, columns) = (grid.rows(), grid.columns());
    let picture = format!(r#"<img class="picture" src="/batches/{id}/quilt.png?side=512" alt="" role="presentation">"#);
    let picture = if is_over { picture } else { format!("<noscript>{picture}</noscript>") };
    format!(
        concat!(
            "{picture}",
            r#"<canvas class="bitmap" width="{columns}" height="{rows}" role="presentation"></canvas>"#,
            r#"<div class="threads" role="presentation"></div><canvas class="marks" role="presentation"></canvas>"#,
            r#"<div role="row" aria-rowindex="1"><div role="gridcell" class="cursor" tabindex="0" aria-colindex="1" "#,
            r#"data-state="pending" aria-label="Row 0, column 0: pending"></div></div>"#
        ),
        picture = picture,
        columns = columns,
        rows = rows,
    )
}

#[cfg(any(feature = "ssr", test))]
fn push_cell(html: &mut String, grid: Grid, index: Index, state: SquareState<'_>) {
    let tabindex = if index.0 == 0 { 0 } else { -1 };
    let name = Standing::of(state, None).as_str();
    let label = label(grid, index, state, None);
    let label = html_escape::encode_double_quoted_attribute(&label);
    // Writing to a string cannot fail.
    let _ = write!(html, r#"<div role="gridcell" tabindex="{tabindex}" data-state="{name}" aria-label="{label}""#);
    if let SquareState::Done(color) = state {
        let _ = write!(html, r#" style="background-color:{color}""#);
    }
    html.push_str("></div>");
}

#[cfg(test)]
mod tests {
    use quilt::Color;

    use super::*;

    #[test]
    fn every_square_is_a_labelled_cell() {
        let grid = Grid::new(2, 2).expect("small");
        let html = rows_html(grid, |index| match index.0 {
            0 => SquareState::Done(Color::from_rgb(0xAB)),
            1 => SquareState::Failed(r#"<"no">"#),
            _ => SquareState::Pending,
        });
        assert_eq!(html.matches(r#"role="row""#).count(), 2);
        assert_eq!(html.matches(r#"role="gridcell""#).count(), 4);
        assert_eq!(html.matches(r#"tabindex="0""#).count(), 1);
        assert!(html.contains(r#"aria-label="Row 0, column 0: done, #0000AB" style="background-color:#0000AB""#));
        assert!(html.contains("Row 1, column 1: pending"));
        assert!(html.contains("failed, &lt;&quot;no&quot;&gt;") || html.contains("failed, <&quot;no&quot;>"), "{html}");
    }
}
