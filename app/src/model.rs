//! The data that the server passes to islands, and the errors of actions.

use bytes::Bytes;
use leptos::server_fn::codec::Post;
use leptos::server_fn::error::{FromServerFnError, ServerFnErrorErr};
use leptos::server_fn::{ContentType, Decodes, Encodes, Format, FormatType};
use quilt::wire::{decode_summary, encode_summary};
use quilt::{BatchId, Summary, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A batch as of when its page was rendered.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchView {
    /// The batch.
    pub id: BatchId,
    /// Whether this visitor launched it and may control it.
    pub is_own: bool,
    /// Its state, without the squares.
    pub summary: Summary,
    /// The server's time when the page was rendered.
    pub now: Timestamp,
    /// The most attempts per task that this server allows.
    pub max_attempts: String,
    /// The longest timeout of an attempt that this server allows, in seconds. A text, because browsers load much to format such a number.
    pub max_timeout_s: String,
}

/// A [`BatchView`] as text in the page. It contains the summary in the wire format, which the browser has to decode for the channel anyway.
///
/// This is a separate type so that the WebAssembly contains no encoder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EncodedView(String);

/// The text does not encode a [`BatchView`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("this is not the view of a batch")]
pub struct NotAView;

impl BatchView {
    /// Encodes the view for the page.
    #[must_use]
    pub fn encode(&self) -> EncodedView {
        let Self { id, is_own, summary, now, max_attempts, max_timeout_s } = self;
        let digits: String = encode_summary(summary).iter().map(|byte| format!("{byte:02x}")).collect();
        EncodedView(format!("{id} {} {} {max_attempts} {max_timeout_s} {digits}", u8::from(*is_own), now.0))
    }
}

impl EncodedView {
    /// Decodes the view.
    ///
    /// # Errors
    ///
    /// Returns [`NotAView`] if the text does not encode a view.
    pub fn decode(&self) -> Result<BatchView, NotAView> {
        let mut parts = self.0.split(' ');
        let mut part = || parts.next().ok_or(NotAView);
        let id = part()?.parse().map_err(|_| NotAView)?;
        let is_own = part()? == "1";
        let now = part()?.parse().map(Timestamp).map_err(|_| NotAView)?;
        let (max_attempts, max_timeout_s) = (part()?.to_owned(), part()?.to_owned());
        let digits = part()?;
        let byte = |place| u8::from_str_radix(digits.get(place..place + 2)?, 16).ok();
        let summary: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
        let summary = decode_summary(&summary.ok_or(NotAView)?).map_err(|_| NotAView)?;
        Ok(BatchView { id, is_own, summary, now, max_attempts, max_timeout_s })
    }
}

/// What a list displays of a batch, by [`Cell`]. It is a list of texts, because browsers load code for every member of a struct.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ListItem(Vec<String>);

/// A text in a [`ListItem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// The id of the batch.
    Id,
    /// Its title, or its shape.
    Name,
    /// Its kind of work.
    Kind,
    /// The name of its condition, which selects the color.
    Condition,
    /// The word for its condition.
    Word,
    /// Not empty while it may change.
    IsOpen,
    /// The share of squares that are done, as a CSS percentage.
    Done,
    /// The share of squares that failed, as a CSS percentage.
    Failed,
    /// How many are done, how many failed, and their share.
    Counts,
    /// The URL of its picture.
    Picture,
    /// When it started, as in RFC 3339.
    StartedAt,
    /// How long ago that was.
    Started,
    /// How long it took, or has run.
    Took,
}

impl ListItem {
    /// Creates an item from its texts.
    #[must_use]
    pub fn new(text: impl Fn(Cell) -> String) -> Self {
        let cells = [
            Cell::Id,
            Cell::Name,
            Cell::Kind,
            Cell::Condition,
            Cell::Word,
            Cell::IsOpen,
            Cell::Done,
            Cell::Failed,
            Cell::Counts,
            Cell::Picture,
            Cell::StartedAt,
            Cell::Started,
            Cell::Took,
        ];
        Self(cells.map(text).into())
    }

    /// A text; empty if there is none.
    #[must_use]
    pub fn get(&self, cell: Cell) -> String {
        self.0.get(cell as usize).cloned().unwrap_or_default()
    }
}

/// The maximum number of batches that a request names.
pub const MAX_IDS: usize = 100;

/// The ids to load again, separated by spaces: at most [`MAX_IDS`]. Of a longer list, each call takes the next ones, as `turn` counts.
#[must_use]
pub fn due(ids: &[String], turn: usize) -> String {
    let turns = ids.len().div_ceil(MAX_IDS).max(1);
    ids.chunks(MAX_IDS).nth(turn % turns).unwrap_or_default().join(" ")
}

/// Replaces batches that were loaded again, and drops those that are gone. Batches that were not `due` stay as they were.
pub fn refresh(batches: &mut Vec<ListItem>, due: &str, loaded: &[ListItem]) {
    batches.retain_mut(|batch| {
        let id = batch.get(Cell::Id);
        let found = loaded.iter().find(|loaded| loaded.get(Cell::Id) == id);
        if let Some(found) = found {
            batch.clone_from(found);
        }
        found.is_some() || !due.contains(&id)
    });
}

/// Why an action failed. The `Display` text is a sentence for the visitor.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum ActionError {
    /// There is no such batch.
    #[error("Batch not found. It may have been removed, or the link is incomplete.")]
    NotFound,
    /// The server refused the action for this reason.
    #[error("{0}")]
    Refused(String),
    /// A field of a form is invalid: its name, and the reason.
    #[error("{1}")]
    Invalid(String, String),
    /// The server did not respond, or the page cannot parse the response.
    #[error("Can't reach the server. Nothing was changed. ({0})")]
    Transport(String),
}

impl FromServerFnError for ActionError {
    type Encoder = Json;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        match error {
            // Errors in the request.
            ServerFnErrorErr::Args(reason)
            | ServerFnErrorErr::Deserialization(reason)
            | ServerFnErrorErr::MissingArg(reason) => {
                #[cfg(feature = "ssr")]
                crate::status::set_status(axum::http::StatusCode::BAD_REQUEST);
                Self::Refused(reason)
            }
            error => Self::Transport(error.to_string()),
        }
    }
}

/// The response encoding of the server functions.
pub type Answer = Post<Json>;

/// JSON that is parsed from text. The encoding in `server_fn` parses bytes, for which the WebAssembly would need a second JSON parser.
#[derive(Debug)]
pub struct Json;

impl ContentType for Json {
    const CONTENT_TYPE: &'static str = "application/json";
}

impl FormatType for Json {
    const FORMAT_TYPE: Format = Format::Text;
}

impl<T: Serialize> Encodes<T> for Json {
    type Error = serde_json::Error;

    fn encode(value: &T) -> Result<Bytes, Self::Error> {
        serde_json::to_vec(value).map(Bytes::from)
    }
}

impl<T: DeserializeOwned> Decodes<T> for Json {
    type Error = serde_json::Error;

    fn decode(bytes: Bytes) -> Result<T, Self::Error> {
        // Invalid UTF-8 is parsed as an empty text, which is an error.
        serde_json::from_str(str::from_utf8(&bytes).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use quilt::{BatchSpec, Grid, Launched, WorkSpec};

    use super::*;

    #[test]
    fn a_text_is_found_by_its_cell() {
        let item = ListItem::new(|cell| format!("{cell:?}"));
        for cell in [Cell::Id, Cell::Condition, Cell::Took] {
            assert_eq!(item.get(cell), format!("{cell:?}"));
        }
        assert_eq!(ListItem::default().get(Cell::Id), "");
    }

    #[test]
    fn a_list_of_any_length_is_loaded_again_in_turns() {
        let item = |id: usize, word: &str| {
            ListItem::new(|cell| match cell {
                Cell::Id => format!("{id:032x}"),
                Cell::IsOpen => if word == "Running" { "true" } else { "" }.into(),
                Cell::Word => word.into(),
                _ => String::new(),
            })
        };
        let mut batches: Vec<ListItem> = (0..250).map(|id| item(id, "Running")).collect();
        let ids: Vec<String> = batches.iter().map(|batch| batch.get(Cell::Id)).collect();
        let turns = [0, 1, 2].map(|turn| due(&ids, turn));
        assert!(turns.iter().all(|due| due.split(' ').count() <= MAX_IDS));
        assert_eq!(turns.join(" "), ids.join(" "), "each is loaded again");
        assert_eq!(due(&ids, 3), due(&ids, 0));

        // Of the first hundred, one is done and one is gone.
        let asked = due(&ids, 0);
        let loaded: Vec<ListItem> = (0..99).map(|id| item(id, if id == 7 { "Done" } else { "Running" })).collect();
        refresh(&mut batches, &asked, &loaded);
        assert_eq!((batches.len(), batches[7].get(Cell::Word)), (249, "Done".into()));
        assert!(batches.iter().all(|batch| batch.get(Cell::Id) != format!("{:032x}", 99)));
        assert_eq!(due(&[], 5), "");
    }

    #[test]
    fn views_round_trip_through_the_page() {
        let work = WorkSpec { kind: "color".into(), parameters: serde_json::Map::new() };
        let spec = BatchSpec::new(work, Grid::new(8, 8).expect("small"), 1);
        let summary = Summary::of_launch(Launched::new(spec, Timestamp(1_000)));
        let view = BatchView {
            id: BatchId::from_bytes([7; 16]),
            is_own: true,
            summary,
            now: Timestamp(2_000),
            max_attempts: "20".into(),
            max_timeout_s: "1.5".into(),
        };
        let text = serde_json::to_string(&view.encode()).expect("a text");
        assert_eq!(serde_json::from_str::<EncodedView>(&text).expect("a text").decode(), Ok(view));
        for text in
            ["", "x", "07070707070707070707070707070707 1 2 3 4 zz", "07070707070707070707070707070707 1 2 3 4 012"]
        {
            assert_eq!(EncodedView(text.to_owned()).decode(), Err(NotAView), "{text}");
        }
    }
}
