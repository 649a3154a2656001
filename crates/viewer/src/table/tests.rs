//! The table against a server that does what the real one does.

use quilt::{Index, Square};

use super::scroll::MAX_HEIGHT_PX;
use super::*;

/// Answers requests about 2,000 squares: every tenth one failed, and a search looks at some squares at most.
struct Server {
    requests: Vec<String>,
    /// How many squares a search looks at.
    searched: usize,
}

const SQUARES: usize = 2_000;

impl Server {
    fn line(index: usize) -> ResultLine {
        let failed = index.is_multiple_of(10);
        let line = serde_json::json!({
            "row": index / 100,
            "column": index % 100,
            "state": if failed { "failed" } else { "done" },
            "failed": failed.then_some("no luck"),
            "took_ms": index,
            "detail": {"status": if failed { 404 } else { 200 }, "title": null},
        });
        serde_json::from_value(line).expect("a result")
    }

    fn answer(&mut self, request: &str) -> ResultPage {
        self.requests.push(request.into());
        let query = request.split('#').next().unwrap_or_default();
        let member = |name: &str| query.split(['?', '&']).find_map(|member| member.strip_prefix(&format!("{name}=")));
        let start = member("after").map_or(0, rank_of) as usize;
        let order = format!("{}.{}", member("sort").unwrap_or("square"), member("order").unwrap_or("asc"));
        if let Some((_, of_cursor)) = member("after").and_then(|after| after.split_once('.')) {
            assert_eq!(of_cursor, order, "a cursor of another order is refused");
        }
        let text = member("text").map(|text| text.replace("%20", " "));
        let is_failed = member("state") == Some("failed");
        let is_reversed = member("order") == Some("desc");
        let (mut rows, mut next) = (Vec::new(), None);
        for rank in start..SQUARES {
            let line = Self::line(if is_reversed { SQUARES - 1 - rank } else { rank });
            if rows.len() == PAGE_ROWS || (member("text").is_some() && rank == start + self.searched) {
                next = Some(rank);
                break;
            }
            let is_wanted = !is_failed || line.failed.is_some();
            if is_wanted && text.as_ref().is_none_or(|text| line.failed.as_deref().is_some_and(|it| it.contains(text)))
            {
                rows.push(line);
            }
        }
        let matching = match (member("text"), is_failed) {
            (Some(_), _) => None,
            (None, true) => Some(200),
            (None, false) => Some(2_000),
        };
        let searched = next.unwrap_or(SQUARES) as u32;
        ResultPage { rows, next: next.map(|next| format!("{next}.{order}")), matching, searched }
    }

    /// Answers until the table wants nothing; returns how often it asked.
    fn serve(&mut self, table: &mut Table) -> usize {
        let before = self.requests.len();
        while let Some(request) = table.request() {
            let page = self.answer(&request);
            table.receive(page);
            assert!(self.requests.len() - before < 200, "{:?}", self.requests);
        }
        self.requests.len() - before
    }
}

fn table() -> (Server, Table) {
    let column = |name: &str, label: &str| Column { name: name.into(), label: label.into() };
    let columns = vec![column("status", "Status"), column("title", "Title")];
    (Server { requests: Vec::new(), searched: 300 }, Table::new(columns))
}

fn squares(table: &Table) -> Vec<u32> {
    table.window().filter_map(|row| table.row(row)).map(|row| row.row * 100 + row.column).collect()
}

fn at(index: u32) -> (Square, Index) {
    (Square { row: (index / 100) as u16, column: (index % 100) as u16 }, Index(index))
}

#[test]
fn rows_are_loaded_where_the_window_is() {
    let (mut server, mut table) = table();
    assert_eq!(table.count(2_000), "");
    assert_eq!(server.serve(&mut table), 1);
    assert_eq!(server.requests, ["?format=json&attempts=true&limit=100#0"]);
    assert_eq!((table.len(), squares(&table)), (2_000, (0..48).collect()));
    assert_eq!(table.count(2_000), "2,000 squares");
    let (square, index) = at(1_500);
    let top = table.scroll_to(square, index).expect("in reading order");
    assert_eq!(top, 1_497 * ROW_HEIGHT_PX);
    table.set_first(table.first_at(top));
    assert_eq!(table.first_at(top + ROW_HEIGHT_PX), table.first());
    assert_eq!(server.serve(&mut table), 2);
    assert!(squares(&table).contains(&1_500) && squares(&table).len() == WINDOW_ROWS);
    assert_eq!(server.requests[1], "?format=json&attempts=true&limit=100&after=1400.square.asc#0");
    // What is loaded is not asked for again.
    table.set_first(0);
    assert_eq!(server.serve(&mut table), 0);
    for first in (0..2_000).step_by(40) {
        table.set_first(first);
        server.serve(&mut table);
        assert_eq!(squares(&table), (first as u32..2_000.min(first as u32 + 48)).collect::<Vec<u32>>());
        assert!(table.chunks.iter().map(|chunk| chunk.rows.len()).sum::<usize>() <= MAX_LOADED_ROWS);
    }
    table.set_first(0);
    assert_eq!(server.serve(&mut table), 1, "it was dropped");
    assert_eq!(squares(&table), (0..48).collect::<Vec<u32>>());
}

#[test]
fn filtered_rows_follow_cursors() {
    let (mut server, mut table) = table();
    table.set_state("failed");
    assert_eq!(server.serve(&mut table), 1);
    assert_eq!(table.count(2_000), "200 of 2,000 squares");
    assert_eq!(squares(&table), (0..48).map(|place| place * 10).collect::<Vec<u32>>());
    table.set_first(80);
    assert_eq!(server.serve(&mut table), 1);
    assert_eq!(server.requests[1], "?format=json&attempts=true&limit=100&after=991.square.asc&state=failed#1");
    assert_eq!(table.len(), 200);
    assert_eq!(squares(&table)[0], 800);
    let (square, index) = at(1_990);
    assert_eq!(table.scroll_to(square, index), Some(196 * ROW_HEIGHT_PX));
    let (square, index) = at(1_991);
    assert_eq!(table.scroll_to(square, index), None);
}

#[test]
fn a_search_goes_on_until_the_window_is_full() {
    let (mut server, mut table) = table();
    table.set_text("no luck");
    let first = server.answer(&table.request().expect("a query"));
    assert!(server.requests[0].contains("&text=no%20luck"));
    table.receive(first);
    assert_eq!(table.count(2_000), "30 found, 15% of 2,000 squares searched");
    assert_eq!(server.serve(&mut table), 1);
    assert_eq!(table.len(), 60);
    table.set_first(60);
    server.serve(&mut table);
    table.set_first(180);
    server.serve(&mut table);
    assert_eq!(table.count(2_000), "200 of 2,000 squares");
    table.set_text("nowhere");
    assert_eq!(table.len(), 200, "the rows stay until there are others");
    server.serve(&mut table);
    assert_eq!((table.len(), table.first(), table.count(2_000)), (0, 0, "0 of 2,000 squares".into()));
}

#[test]
fn dropped_rows_of_a_filter_are_loaded_again() {
    let (mut server, mut table) = table();
    table.set_text("no luck");
    server.serve(&mut table);
    table.set_first(30);
    server.serve(&mut table);
    table.chunks.iter_mut().for_each(|chunk| chunk.rows.clear());
    table.set_first(0);
    assert_eq!(server.serve(&mut table), 2);
    assert_eq!(squares(&table)[..2], [0, 10]);
    // Fewer squares match by now.
    table.chunks.iter_mut().for_each(|chunk| {
        chunk.len += 1;
        chunk.rows.clear();
    });
    server.serve(&mut table);
    assert_eq!(squares(&table), (0..48).map(|place| place * 10).collect::<Vec<u32>>());
}

#[test]
fn a_search_that_takes_longer_the_second_time_keeps_all_rows() {
    let (mut server, mut table) = table();
    table.set_text("no luck");
    for first in (0..200).step_by(20) {
        table.set_first(first);
        server.serve(&mut table);
    }
    assert_eq!(table.len(), 200);
    // Less than a row, a part of a chunk, exactly one, several.
    for searched in [7, 80, 300, 900] {
        server.searched = searched;
        table.chunks.iter_mut().for_each(|chunk| chunk.rows.clear());
        for first in [60, 0, 152] {
            table.set_first(first);
            server.serve(&mut table);
            assert_eq!((table.len(), table.count(2_000)), (200, "200 of 2,000 squares".into()), "{searched}");
            let expected: Vec<u32> = (first as u32..first as u32 + 48).map(|place| place * 10).collect();
            assert_eq!(squares(&table), expected, "{searched}");
        }
    }
}

#[test]
fn pages_of_an_order_have_its_cursors() {
    let (mut server, mut table) = table();
    server.serve(&mut table);
    table.sort_by(ResultSort::Square);
    table.sort_by(ResultSort::Square);
    server.serve(&mut table);
    table.set_first(500);
    server.serve(&mut table);
    let last = server.requests.last().expect("a request");
    assert!(last.contains("&after=500.square.desc&"), "{last}");
}

#[test]
fn columns_without_a_value_are_hidden() {
    let (mut server, mut table) = table();
    assert!(table.used_columns().is_empty());
    server.serve(&mut table);
    let used: Vec<usize> = table.used_columns().iter().map(|(place, _)| *place).collect();
    assert_eq!(used, [SQUARE, STATE, DURATION, REASON, 8]);
    let row = table.row(10).expect("it is loaded");
    let texts: Vec<String> = used.iter().map(|place| table.text(row, *place)).collect();
    assert_eq!(texts, ["0, 10", "failed", "10 ms", "no luck", "404"]);
}

#[test]
fn sorting_is_the_servers() {
    let (mut server, mut table) = table();
    server.serve(&mut table);
    let generation = table.generation();
    table.sort_by(ResultSort::Square);
    table.sort_by(ResultSort::Square);
    server.serve(&mut table);
    assert!(server.requests[1].contains("&sort=square&order=desc"));
    assert_ne!(table.generation(), generation);
    assert_eq!(squares(&table)[0], 1_999);
    let (square, index) = at(0);
    assert_eq!(table.scroll_to(square, index), Some(1_996 * ROW_HEIGHT_PX));
    table.sort_by(ResultSort::Square);
    assert_eq!(table.sort(), None);
    table.sort_by(ResultSort::Duration);
    table.reload(true);
    assert!(table.sort().is_some());
    table.reload(false);
    assert_eq!(table.sort(), None, "nothing is sorted by duration while it changes");
    assert_eq!((sort_of(STATE), sort_of(ITEM)), (Some(ResultSort::State), None));
}

#[test]
fn a_table_is_no_higher_than_browsers_allow() {
    let (_, mut table) = table();
    table.receive(ResultPage { matching: Some(1_048_576), ..ResultPage::default() });
    assert_eq!(table.top_of(table.len()) as u64, MAX_HEIGHT_PX);
    let bottom = MAX_HEIGHT_PX as usize - 500;
    table.set_first(table.first_at(bottom));
    assert!(table.window().end == 1_048_576, "{:?}", table.window());
    assert_eq!(table.space_below(), 0);
    // Every row comes into the window while the table is scrolled in steps of a wheel.
    table.set_first(0);
    for top in (0..20_000).step_by(100) {
        let before = table.window();
        table.set_first(table.first_at(top));
        assert!(table.window().start <= before.end, "{top}");
    }
}

#[test]
fn values_are_texts() {
    let text = |value: serde_json::Value| Value::from(&value).to_string();
    assert_eq!(text(serde_json::json!(null)), "");
    assert_eq!([text(200.into()), text("a".into()), text(serde_json::json!([1, "b"]))], ["200", "a", r#"[1,"b"]"#]);
}
