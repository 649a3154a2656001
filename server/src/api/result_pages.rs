//! Pages of results: the selected squares from a cursor on, until the page is full or its time is used up.

use std::ops::Range;
use std::time::{Duration, Instant};

use ::api::{ResultSort, SortOrder};
use engine::JournalError;
use quilt::{Index, Offset};

use super::formats::Row;
use super::selection::Selection;

/// How long a text search may take per request. The time of reads counts as well, so the processor time is at most as long.
const SEARCH_TIME: Duration = Duration::from_millis(50);

/// How many squares the fold is asked for at once.
const SCAN_SQUARES: u32 = 1_024;

/// A page ends when its rows are larger than this, in bytes.
const MAX_PAGE_BYTES: usize = 4 << 20;

/// Limits the time of a text search.
pub(super) struct SearchBudget {
    is_spent: Box<dyn FnMut() -> bool + Send>,
}

impl SearchBudget {
    /// [`SEARCH_TIME`] from now on.
    pub(super) fn start() -> Self {
        let started = Instant::now();
        Self { is_spent: Box::new(move || started.elapsed() >= SEARCH_TIME) }
    }

    /// A budget that is spent after a number of checks.
    #[cfg(test)]
    fn of_checks(mut checks: u32) -> Self {
        let is_spent = move || {
            checks = checks.saturating_sub(1);
            checks == 0
        };
        Self { is_spent: Box::new(is_spent) }
    }
}

/// An order of squares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ordering {
    pub(super) sort: ResultSort,
    pub(super) order: SortOrder,
    /// The events from which the order is derived, so that a cursor is refused after another lap. `None` for reading order.
    pub(super) offset: Option<Offset>,
}

/// Where a page starts: how many squares of the order come before it.
///
/// Its text has the number, the value that the squares are sorted by, the direction, and the offset if there is one: `100.duration.desc.93`. A
/// number alone is a number of squares to skip, in whatever order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) rank: u32,
    pub(super) ordering: Option<Ordering>,
}

impl Cursor {
    /// Parses a cursor. `None` if no page has returned it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (rank, ordering) = match text.split_once('.') {
            None => (text, None),
            Some((rank, ordering)) => (rank, Some(Ordering::parse(ordering)?)),
        };
        Some(Self { rank: rank.parse().ok()?, ordering })
    }

    /// Checks that the cursor is one of a query with this order.
    pub(super) fn check(self, sort: ResultSort, order: SortOrder) -> Result<(), String> {
        match self.ordering {
            Some(of) if (of.sort, of.order) != (sort, order) => Err(format!(
                "after is '{self}', a cursor of sort={} and order={}, but this request has sort={} and order={}. Repeat the sort and order \
                 of the request that returned the cursor, or leave out after to start at the first page",
                of.sort.as_str(),
                of.order.as_str(),
                sort.as_str(),
                order.as_str(),
            )),
            _ => Ok(()),
        }
    }
}

impl Ordering {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (sort, order) = (parts.next()?, parts.next()?);
        let sort = ResultSort::ALL.into_iter().find(|known| known.as_str() == sort)?;
        let order = SortOrder::ALL.into_iter().find(|known| known.as_str() == order)?;
        let offset = parts.next().map(|offset| offset.parse().map(Offset)).transpose().ok()?;
        // Only reading order is not derived from an offset.
        let is_complete = parts.next().is_none() && offset.is_some() != (sort == ResultSort::Square);
        is_complete.then_some(Self { sort, order, offset })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.rank)?;
        let Some(Ordering { sort, order, offset }) = self.ordering else { return Ok(()) };
        write!(f, ".{}.{}", sort.as_str(), order.as_str())?;
        offset.map_or(Ok(()), |Offset(offset)| write!(f, ".{offset}"))
    }
}

/// The squares of a batch in an order.
pub(super) trait Source {
    /// How many there are.
    fn len(&self) -> u32;

    /// How many squares are read at once. Small if their details may be large.
    fn read_size(&self) -> usize;

    /// The squares at these ranks that match as far as the fold knows, with their ranks.
    fn candidates(&self, ranks: Range<u32>, selection: &Selection) -> Vec<(u32, Index)>;

    /// Reads squares, in the given order.
    async fn read(&self, squares: &[(u32, Index)]) -> Result<Vec<Row>, JournalError>;
}

/// A page.
#[derive(Debug, PartialEq)]
pub(super) struct Page {
    pub(super) rows: Vec<Row>,
    /// The rank at which the next page starts; `None` on the last page.
    pub(super) next: Option<u32>,
    /// How many rows match, if a text search has gone through all squares.
    pub(super) found: Option<u32>,
}

/// Reads a page of up to `limit` rows that starts at a rank. The first page of a text search goes on to count the matches while there is
/// time. Every request makes progress, whatever its budget is.
pub(super) async fn read_page(
    source: &impl Source,
    selection: &Selection,
    start: u32,
    limit: usize,
    mut budget: SearchBudget,
) -> Result<Page, JournalError> {
    let mut page = Page { rows: Vec::new(), next: None, found: None };
    let is_counting = start == 0 && selection.has_text();
    let (mut bytes, mut counted, mut reads) = (0, 0, 0);
    for from in (start..source.len()).step_by(SCAN_SQUARES as usize) {
        let candidates = source.candidates(from..source.len().min(from.saturating_add(SCAN_SQUARES)), selection);
        let mut rest = &candidates[..];
        while let Some((rank, _)) = rest.first() {
            let room = if bytes < MAX_PAGE_BYTES { limit.saturating_sub(page.rows.len()) } else { 0 };
            let is_full = room == 0 && !is_counting;
            let is_late = selection.has_text() && reads > 0 && (budget.is_spent)();
            if is_full || is_late {
                page.next = page.next.or(Some(*rank));
                return Ok(page);
            }
            // Without a text every candidate is a row.
            let most = if selection.has_text() { source.read_size() } else { source.read_size().min(room) };
            let (part, after) = rest.split_at(rest.len().min(most));
            rest = after;
            reads += 1;
            let rows = source.read(part).await?;
            for ((rank, _), row) in part.iter().zip(matching(rows, selection).await) {
                let Some(row) = row else { continue };
                counted += 1;
                if page.next.is_none() && page.rows.len() < limit && bytes < MAX_PAGE_BYTES {
                    bytes += row.bytes();
                    page.rows.push(row);
                } else {
                    page.next = page.next.or(Some(*rank));
                }
            }
        }
        // The fold of a large batch has no other point at which this waits.
        tokio::task::yield_now().await;
    }
    page.found = is_counting.then_some(counted);
    Ok(page)
}

/// Drops rows without the text. CPU-bound if their details are large.
async fn matching(rows: Vec<Row>, selection: &Selection) -> Vec<Option<Row>> {
    if !selection.has_text() {
        return rows.into_iter().map(Some).collect();
    }
    let selection = selection.clone();
    let select = move || rows.into_iter().map(|row| selection.matches_text(&row).then_some(row)).collect();
    // A panic is a bug, and is logged by its hook.
    tokio::task::spawn_blocking(select).await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use engine::SquareResult;
    use quilt::{Color, Square, SquareState};

    use super::*;

    /// A thousand squares by four; every tenth one failed, and square 3,777 has another item.
    struct Squares;

    impl Squares {
        fn state(index: u32) -> SquareState<'static> {
            if index.is_multiple_of(10) {
                SquareState::Failed("no luck")
            } else {
                SquareState::Done(Color::from_rgb(0))
            }
        }
    }

    impl Source for Squares {
        fn len(&self) -> u32 {
            4_000
        }

        fn read_size(&self) -> usize {
            32
        }

        fn candidates(&self, ranks: Range<u32>, selection: &Selection) -> Vec<(u32, Index)> {
            let all = ranks.map(|rank| (rank, Index(rank)));
            all.filter(|(rank, _)| selection.matches_state(Self::state(*rank))).collect()
        }

        async fn read(&self, squares: &[(u32, Index)]) -> Result<Vec<Row>, JournalError> {
            let row = |index: u32| {
                let result = match Self::state(index) {
                    SquareState::Failed(reason) => {
                        SquareResult::Failed { reason: reason.into(), message: reason.into(), detail: None }
                    }
                    _ => SquareResult::Done { color: Color::from_rgb(0), detail: None },
                };
                let item = if index == 3_777 { "needle" } else { "hay" };
                let square = Square { row: 9_000, column: index as u16 };
                Row { square, item: Some(item.into()), result, attempt: None }
            };
            Ok(squares.iter().map(|(_, index)| row(index.0)).collect())
        }
    }

    /// Reads all pages; returns the squares, and how many pages there were.
    async fn all(selection: &Selection, limit: usize, checks: u32) -> (Vec<u16>, u32) {
        let (mut squares, mut pages, mut next) = (Vec::new(), 0, Some(0));
        while let Some(start) = next {
            let budget = SearchBudget::of_checks(checks);
            let page = read_page(&Squares, selection, start, limit, budget).await.expect("readable");
            assert!(page.rows.len() <= limit);
            assert!(page.next.is_none_or(|next| next > start), "it makes progress");
            squares.extend(page.rows.iter().map(|row| row.square.column));
            next = page.next;
            pages += 1;
        }
        (squares, pages)
    }

    #[tokio::test]
    async fn every_square_is_on_one_page() {
        let (squares, pages) = all(&Selection::default(), 300, 0).await;
        assert_eq!((squares, pages), ((0..4_000).collect(), 14));
        let failed = Selection::new(Some(::api::TaskState::Failed), Some("no luck".into()), None);
        let expected: Vec<u16> = (0..4_000).step_by(10).collect();
        assert_eq!(all(&failed, 50, 0).await, (expected.clone(), 8), "no page is empty");
        let searched = Selection::new(Some(::api::TaskState::Failed), None, Some("LUCK"));
        for checks in [1, 2, 3, 1_000] {
            assert_eq!(all(&searched, 50, checks).await.0, expected, "{checks}");
        }
    }

    #[tokio::test]
    async fn a_search_goes_on_where_its_time_was_up() {
        let selection = Selection::new(None, None, Some("needle"));
        // 32 squares, and then the budget is checked.
        let page = read_page(&Squares, &selection, 0, 10, SearchBudget::of_checks(1)).await.expect("readable");
        assert_eq!(page, Page { rows: Vec::new(), next: Some(32), found: None });
        assert_eq!(all(&selection, 10, 1).await, (vec![3_777], 125));
        let page = read_page(&Squares, &selection, 0, 10, SearchBudget::of_checks(1_000)).await.expect("readable");
        assert_eq!((page.rows.len(), page.next, page.found), (1, None, Some(1)));
    }

    #[tokio::test]
    async fn the_first_page_of_a_search_counts_the_matches() {
        let selection = Selection::new(None, None, Some("luck"));
        let page = read_page(&Squares, &selection, 0, 10, SearchBudget::of_checks(1_000)).await.expect("readable");
        assert_eq!((page.rows.len(), page.next, page.found), (10, Some(100), Some(400)));
        let late = read_page(&Squares, &selection, 0, 10, SearchBudget::of_checks(20)).await.expect("readable");
        assert_eq!((late.rows.len(), late.next, late.found), (10, Some(100), None));
        let second = read_page(&Squares, &selection, 100, 10, SearchBudget::of_checks(1_000)).await.expect("readable");
        assert_eq!((second.rows.len(), second.next.is_some(), second.found), (10, true, None));
    }

    #[test]
    fn cursors_are_texts() {
        for text in ["0", "20480", "7.square.asc", "7.square.desc", "7.duration.desc.93"] {
            assert_eq!(Cursor::parse(text).map(|cursor| cursor.to_string()).as_deref(), Some(text));
        }
        for text in [
            "",
            "x",
            "-1",
            "1.",
            ".1",
            "4294967296",
            "1.2",
            "1.square",
            "1.square.asc.3",
            "1.state.asc",
            "1.state.up.3",
            "1.state.asc.3.4",
        ] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_cursor_belongs_to_its_order() {
        use ::api::{ResultSort::Duration, ResultSort::Square, SortOrder::Ascending, SortOrder::Descending};
        let check = |text: &str, sort, order| Cursor::parse(text).expect("a cursor").check(sort, order);
        assert_eq!(check("7.duration.desc.93", Duration, Descending), Ok(()));
        assert_eq!(check("7", Duration, Descending), Ok(()), "a number of squares to skip");
        for (sort, order) in [(Duration, Ascending), (Square, Descending)] {
            let reason = check("7.duration.desc.93", sort, order).expect_err("another order");
            assert!(reason.contains("'7.duration.desc.93', a cursor of sort=duration and order=desc"), "{reason}");
        }
    }
}
