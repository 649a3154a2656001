//! Lists the visitor's batches.

use quilt::{BatchId, Summary};
use viewer::{Condition, format, words};

use crate::model::{ActionError, Cell, ListItem, MAX_IDS};
use crate::server::{engine, visitor};

/// The number of batches on a page of the list.
const PAGE_SIZE: u32 = 24;

/// What a visitor searches for.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ListFilter {
    /// A part of the name or of a label; empty for all.
    pub(crate) text: String,
    /// The condition of the batches.
    pub(crate) condition: Option<Condition>,
    /// The kind of work; empty for all.
    pub(crate) kind: String,
}

impl ListFilter {
    /// Whether all batches match.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn matches(&self, summary: &Summary) -> bool {
        let text = self.text.to_lowercase();
        let has_text = |of: &str| of.to_lowercase().contains(&text);
        let has_label =
            || summary.spec.labels_by_name().iter().any(|(name, value)| has_text(&format!("{name}={value}")));
        (self.kind.is_empty() || summary.spec.work.kind == self.kind)
            && self.condition.is_none_or(|condition| Condition::of(summary) == condition)
            && (text.is_empty() || has_text(&words::name(summary)) || has_label())
    }
}

/// A page of the visitor's list.
pub(crate) struct ListPage {
    /// The batches that have not ended; only on the first page.
    pub(crate) open: Vec<ListItem>,
    /// Those that have ended, newest first.
    pub(crate) ended: Vec<ListItem>,
    /// The cursor of the next page, if there may be more.
    pub(crate) next: Option<u64>,
}

/// Returns a page of this visitor's batches that match.
pub(crate) async fn list(filter: &ListFilter, after: Option<u64>) -> Result<ListPage, ActionError> {
    let (engine, visitor) = (engine(), visitor()?);
    // Read first: a batch that ends in between is in both lists, rather than in none.
    let mut open = match after {
        None => engine.unfinished(visitor).await?,
        Some(_) => Vec::new(),
    };
    open.retain(|(_, summary)| filter.matches(summary));
    let is_listed = |summary: &Summary| summary.status.is_over() && filter.matches(summary);
    let listing = engine.find(visitor, is_listed, after, PAGE_SIZE).await?;
    let ended = listing.batches.iter().filter(|(id, _)| open.iter().all(|(known, _)| known != id));
    Ok(ListPage { ended: ended.map(item).collect(), open: open.iter().map(item).collect(), next: listing.next })
}

/// Returns those of this visitor's batches whose ids are named.
pub(crate) async fn list_named(ids: &str) -> Result<Vec<ListItem>, ActionError> {
    let (engine, visitor) = (engine(), visitor()?);
    let mut items = Vec::new();
    for id in parse_ids(ids) {
        items.extend(engine.own_summary(id, visitor).await?.map(|summary| item(&(id, summary))));
    }
    Ok(items)
}

/// The ids in a text, without repetitions. Others are skipped.
pub(crate) fn parse_ids(ids: &str) -> Vec<BatchId> {
    let mut parsed = Vec::new();
    for id in ids.split_whitespace().filter_map(|id| id.parse().ok()).take(MAX_IDS) {
        if !parsed.contains(&id) {
            parsed.push(id);
        }
    }
    parsed
}

/// What the list displays of a batch.
pub(crate) fn item((id, summary): &(BatchId, Summary)) -> ListItem {
    let (condition, progress) = (Condition::of(summary), summary.progress);
    let now = engine::now();
    let share = |count: u32| format!("{:.3}%", f64::from(count) * 100.0 / f64::from(progress.tasks.max(1)));
    ListItem::new(|cell| match cell {
        Cell::Id => id.to_string(),
        Cell::Name => words::name(summary),
        Cell::Kind => summary.spec.work.kind.clone(),
        Cell::Condition => condition.as_str().into(),
        Cell::Word => condition.label().into(),
        Cell::IsOpen => if condition.is_over() { "" } else { "true" }.into(),
        Cell::Done => share(progress.done),
        Cell::Failed => share(progress.failed),
        Cell::Counts => counts(progress),
        Cell::Picture => picture(*id, summary),
        Cell::StartedAt => summary.created_at.to_rfc3339().unwrap_or_default(),
        Cell::Started => age(now.millis_since(summary.created_at)),
        Cell::Took => format::duration(summary.ended_at.unwrap_or(now).millis_since(summary.started_at)),
    })
}

/// The URL of a batch's thumbnail. The query makes it unique per state: a finished batch's picture is cached under its end time, a running
/// batch's picture is loaded again when squares have settled.
fn picture(id: BatchId, summary: &Summary) -> String {
    let at = summary.ended_at.map_or_else(|| summary.progress.settled().into(), |at| at.0);
    format!("/batches/{id}/quilt.png?side=48&at={at}")
}

fn counts(progress: quilt::Progress) -> String {
    let done = format!("{} of {} done", format::count(progress.done), format::count(progress.tasks));
    if progress.failed == 0 {
        return done;
    }
    // In tenths of a percent, and never 0 for a failure.
    let tenths = (u64::from(progress.failed) * 1_000 / u64::from(progress.tasks.max(1))).max(1);
    let fraction = if tenths % 10 == 0 { String::new() } else { format!(".{}", tenths % 10) };
    format!("{done}, {} failed ({}{fraction} %)", format::count(progress.failed), tenths / 10)
}

/// An age in milliseconds as text, rounded down to minutes, hours or days.
fn age(millis: u64) -> String {
    let minutes = millis / 60_000;
    let (value, unit) = match minutes {
        0 => return "just now".into(),
        1..60 => (minutes, "minute"),
        60..1_440 => (minutes / 60, "hour"),
        _ => (minutes / 1_440, "day"),
    };
    format!("{value} {unit}{} ago", if value == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use quilt::{BatchSpec, Grid, Launched, Progress, Status, Timestamp, WorkSpec};

    use super::*;

    fn summary(title: Option<&str>) -> Summary {
        let work = WorkSpec { kind: "color".into(), parameters: serde_json::Map::new() };
        let mut spec = BatchSpec::new(work, Grid::new(8, 8).expect("small"), 1);
        spec.title = title.map(Into::into);
        spec.labels = [("team".to_owned(), "web".into())].into_iter().collect();
        Summary::of_launch(Launched::new(spec, Timestamp(1_000)))
    }

    #[test]
    fn a_filter_matches_the_name_the_condition_and_the_kind() {
        let filter = |text: &str, condition, kind: &str| ListFilter { text: text.into(), condition, kind: kind.into() };
        let nightly = summary(Some("Nightly Crawl"));
        for (filter, matches) in [
            (ListFilter::default(), true),
            (filter("crawl", None, ""), true),
            (filter("daily", None, ""), false),
            (filter("team=web", None, ""), true),
            (filter("", Some(Condition::Running), "color"), true),
            (filter("", Some(Condition::Done), ""), false),
            (filter("", None, "fetch"), false),
        ] {
            assert_eq!(filter.matches(&nightly), matches, "{filter:?}");
        }
        assert!(filter("8 × 8", None, "").matches(&summary(None)));
    }

    #[test]
    fn an_item_has_counts_and_the_share_of_failures() {
        let mut summary = summary(None);
        summary.progress = Progress { tasks: 1_024, done: 975, failed: 49, not_run: 0 };
        summary.status = Status::Finished;
        summary.ended_at = Some(Timestamp(3_500));
        let item = item(&(BatchId::from_bytes([7; 16]), summary.clone()));
        assert_eq!(item.get(Cell::Counts), "975 of 1,024 done, 49 failed (4.7 %)");
        assert_eq!((item.get(Cell::Word), item.get(Cell::IsOpen)), ("Partly failed".into(), String::new()));
        assert_eq!((item.get(Cell::Failed), item.get(Cell::Took)), ("4.785%".into(), "2.5 s".into()));
        summary.progress = Progress { tasks: 1_048_576, done: 0, failed: 1, not_run: 0 };
        assert_eq!(counts(summary.progress), "0 of 1,048,576 done, 1 failed (0.1 %)");
    }

    #[test]
    fn ids_are_parsed_once_each() {
        let id = BatchId::from_bytes([7; 16]);
        assert_eq!(parse_ids(&format!("{id}  x {id}")), [id]);
        assert!(parse_ids("").is_empty());
    }

    #[test]
    fn ages_are_rounded() {
        assert_eq!(
            [59_000, 60_000, 7_200_000, 200_000_000].map(age),
            ["just now", "1 minute ago", "2 hours ago", "2 days ago"]
        );
    }
}
