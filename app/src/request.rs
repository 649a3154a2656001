//! Requests of the page to its own server.

use js_sys::{Array, JSON, Object, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Document, DomParser, FormData, Headers, HtmlFormElement, RequestInit, Response, SupportedType, UrlSearchParams,
    window,
};

use crate::model::ActionError;

/// A member of a record, as it stands in a table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Nothing,
    Number(f64),
    Text(String),
}

impl Value {
    /// Whether it is just this text.
    pub(crate) fn is(&self, text: &str) -> bool {
        matches!(self, Self::Text(own) if own == text)
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// A record of the API, as the browser has read it: it knows JSON already, and what it knows need not be loaded.
#[derive(Debug, Clone)]
pub(crate) struct Record(JsValue);

impl Record {
    /// A member that is a text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.member(name)?.as_string()
    }

    /// A member that is a whole number, 0 where there is none.
    pub(crate) fn number(&self, name: &str) -> u32 {
        self.member(name).and_then(|value| value.as_f64()).unwrap_or_default() as u32
    }

    /// A member of whatever kind; what is neither a number nor a text is written as JSON.
    pub(crate) fn value(&self, name: &str) -> Value {
        let Some(value) = self.member(name) else { return Value::Nothing };
        let number = value.as_f64().map(Value::Number);
        let json = || JSON::stringify(&value).ok().map(|json| Value::Text(json.into()));
        number.or_else(|| value.as_string().map(Value::Text)).or_else(json).unwrap_or(Value::Nothing)
    }

    /// The names of its members.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = self.0.dyn_ref::<Object>().map(Object::keys);
        names.iter().flat_map(Array::iter).filter_map(|name| name.as_string()).collect()
    }

    /// A member that is a record.
    pub(crate) fn record(&self, name: &str) -> Option<Self> {
        self.member(name).map(Self)
    }

    /// The records of a member that is a list.
    pub(crate) fn list(&self, name: &str) -> Vec<Self> {
        let list = self.member(name).and_then(|value| value.dyn_into::<Array>().ok());
        list.iter().flat_map(Array::iter).map(Self).collect()
    }

    fn member(&self, name: &str) -> Option<JsValue> {
        let value = Reflect::get(&self.0, &name.into()).ok()?;
        (!value.is_undefined() && !value.is_null()).then_some(value)
    }
}

/// Posts a form, and returns where the answer leads, if it does.
pub(crate) async fn post(form: &HtmlFormElement) -> Result<Option<String>, ActionError> {
    let fields = FormData::new_with_form(form).map_err(transport)?;
    let init = RequestInit::new();
    init.set_method("POST");
    if form.enctype() == "multipart/form-data" {
        init.set_body(&fields);
    } else {
        let fields: JsValue = UrlSearchParams::new_with_str_sequence_sequence(&fields).map_err(transport)?.into();
        init.set_body(&fields);
    }
    let response = fetch(&form.action(), &init).await?;
    if !response.ok() {
        let text = text(&response).await?;
        // As an `ActionError` looks in JSON, or a problem of the layers around it.
        let refused = JSON::parse(&text)
            .ok()
            .map(Record)
            .and_then(|error| error.text("Refused").or_else(|| error.text("detail")));
        return Err(match refused {
            Some(reason) => ActionError::Refused(reason),
            None if response.status() == 404 => ActionError::NotFound,
            None => ActionError::Transport(text),
        });
    }
    response.headers().get("location").map_err(transport)
}

/// Asks for a record of the API.
pub(crate) async fn get(path: &str) -> Result<Record, ActionError> {
    let response = fetch(path, &RequestInit::new()).await?;
    let record = Record(JSON::parse(&text(&response).await?).map_err(transport)?);
    match (response.ok(), response.status()) {
        (true, _) => Ok(record),
        (false, 404) => Err(ActionError::NotFound),
        (false, _) => Err(ActionError::Refused(record.text("detail").unwrap_or_default())),
    }
}

/// Asks for records of the API that come an object a line.
pub(crate) async fn get_lines(path: &str) -> Result<Vec<Record>, ActionError> {
    let response = fetch(path, &RequestInit::new()).await?;
    let lines = text(&response).await?;
    if !response.ok() {
        return Err(ActionError::Transport(format!("status {}", response.status())));
    }
    let records = lines.lines().map(|line| JSON::parse(line).map(Record).map_err(transport));
    records.collect()
}

/// Asks for a record of the API that is no text.
pub(crate) async fn get_bytes(path: &str) -> Result<Vec<u8>, ActionError> {
    let response = fetch(path, &RequestInit::new()).await?;
    if !response.ok() {
        return Err(ActionError::Transport(format!("status {}", response.status())));
    }
    let buffer = JsFuture::from(response.array_buffer().map_err(transport)?).await.map_err(transport)?;
    Ok(Uint8Array::new(&buffer).to_vec())
}

/// Asks for a page, whatever the server makes of it.
pub(crate) async fn get_page(path: &str) -> Result<Document, ActionError> {
    let response = fetch(path, &RequestInit::new()).await?;
    let text = text(&response).await?;
    let parser = DomParser::new().map_err(transport)?;
    parser.parse_from_string(&text, SupportedType::TextHtml).map_err(transport)
}

async fn fetch(path: &str, init: &RequestInit) -> Result<Response, ActionError> {
    let headers = Headers::new().map_err(transport)?;
    headers.set("accept", "application/json").map_err(transport)?;
    init.set_headers(&headers);
    let window = window().ok_or_else(|| ActionError::Transport(String::new()))?;
    let response = JsFuture::from(window.fetch_with_str_and_init(path, init)).await;
    response.and_then(JsCast::dyn_into).map_err(transport)
}

async fn text(response: &Response) -> Result<String, ActionError> {
    let text = JsFuture::from(response.text().map_err(transport)?).await.map_err(transport)?;
    Ok(text.as_string().unwrap_or_default())
}

#[expect(clippy::needless_pass_by_value, reason = "the argument of map_err")]
pub(crate) fn transport(error: JsValue) -> ActionError {
    let reason = error.dyn_ref::<js_sys::Error>().map(|error| String::from(error.message()));
    ActionError::Transport(reason.unwrap_or_default())
}
