//! Requests of the page to its own server.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{FormData, Headers, HtmlFormElement, RequestInit, Response, UrlSearchParams, window};

use crate::model::ActionError;

/// An error of the API, as far as people are told of it.
#[derive(Deserialize)]
struct Problem {
    detail: String,
}

/// Posts a form, and goes where the answer leads.
pub(crate) async fn post(form: &HtmlFormElement) -> Result<(), ActionError> {
    let fields = FormData::new_with_form(form).map_err(transport)?;
    let body = UrlSearchParams::new_with_str_sequence_sequence(&fields).map_err(transport)?;
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_body(&body);
    let response = fetch(&form.action(), &init).await?;
    if !response.ok() {
        let text = text(&response).await?;
        return Err(serde_json::from_str(&text).unwrap_or(ActionError::Transport(text)));
    }
    if let (Some(target), Some(window)) = (response.headers().get("location").map_err(transport)?, window())
        && window.location().pathname().is_ok_and(|here| here != target)
    {
        window.location().assign(&target).map_err(transport)?;
    }
    Ok(())
}

/// Asks for a record of the API.
pub(crate) async fn get<T: DeserializeOwned>(path: &str) -> Result<T, ActionError> {
    let response = fetch(path, &RequestInit::new()).await?;
    let text = text(&response).await?;
    if response.ok() {
        return serde_json::from_str(&text).map_err(|error| ActionError::Transport(error.to_string()));
    }
    Err(match serde_json::from_str::<Problem>(&text) {
        Ok(_) if response.status() == 404 => ActionError::NotFound,
        Ok(problem) => ActionError::Refused(problem.detail),
        Err(_) => ActionError::Transport(format!("status {}", response.status())),
    })
}

/// Asks for a record of the API that is no text.
pub(crate) async fn get_bytes(path: &str) -> Result<Vec<u8>, ActionError> {
    let response = fetch(path, &RequestInit::new()).await?;
    if !response.ok() {
        return Err(ActionError::Transport(format!("status {}", response.status())));
    }
    let buffer = JsFuture::from(response.array_buffer().map_err(transport)?).await.map_err(transport)?;
    Ok(js_sys::Uint8Array::new(&buffer).to_vec())
}

/// Asks for a page.
pub(crate) async fn get_text(path: &str) -> Result<String, ActionError> {
    let response = fetch(path, &RequestInit::new()).await?;
    text(&response).await
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
fn transport(error: JsValue) -> ActionError {
    let reason = error.dyn_ref::<js_sys::Error>().map(|error| String::from(error.message()));
    ActionError::Transport(reason.unwrap_or_default())
}
