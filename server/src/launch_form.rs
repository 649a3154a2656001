//! The form that launches a batch. It may bring a file along, and comes from pages with and without scripts.

use std::collections::HashMap;

use app::model::ActionError;
use axum::extract::multipart::MultipartError;
use axum::extract::{Multipart, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use leptos::server_fn::error::ServerFnUrlError;
use quilt::{BatchId, OwnerId};

use crate::problem::Problem;
use crate::routes::AppState;
use crate::session::fresh_launch;

/// The most fields of a form.
const MAX_FIELDS: usize = 100;

/// Where the page is that has the form.
const HOME: &str = "/";

/// `POST /actions/launch`.
pub(crate) async fn launch(
    State(state): State<AppState>,
    Extension(visitor): Extension<OwnerId>,
    headers: HeaderMap,
    form: Result<Multipart, axum::extract::multipart::MultipartRejection>,
) -> Response {
    // A page without scripts asks for the next page itself.
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let wants_page = accept.contains("text/html");
    let launched = match form {
        Ok(form) => launch_posted(&state, visitor, form).await,
        Err(rejection) => Err(Problem::bad_request("malformed-form", rejection.body_text())),
    };
    match launched {
        Ok(id) => {
            let status = if wants_page { StatusCode::SEE_OTHER } else { StatusCode::OK };
            (status, [(header::LOCATION, format!("/batches/{id}"))]).into_response()
        }
        Err(problem) if wants_page => back(&headers, &problem),
        Err(problem) => (problem.status(), Json(ActionError::Refused(problem.detail().into()))).into_response(),
    }
}

async fn launch_posted(state: &AppState, visitor: OwnerId, form: Multipart) -> Result<BatchId, Problem> {
    let (fields, upload) = read(form).await?;
    let kind = fields.get("kind").map(String::as_str).unwrap_or_default();
    let form = state.engine.registry().kind(kind).and_then(|kind| kind.form());
    let form =
        form.ok_or_else(|| Problem::invalid("invalid-work", format!("there is no form for work of kind '{kind}'")))?;
    let request = app::launch::request(&form, &fields).map_err(|reason| Problem::invalid("invalid-form", reason))?;
    let launch = fresh_launch();
    state.launch(launch, visitor, request, upload).await?;
    Ok(launch.0)
}

/// The fields, and the file if one was chosen.
async fn read(mut form: Multipart) -> Result<(HashMap<String, String>, Option<Bytes>), Problem> {
    let malformed = |error: MultipartError| {
        Problem::bad_request("malformed-form", format!("the form cannot be read: {}", error.body_text()))
    };
    let mut fields = HashMap::new();
    let mut upload = None;
    while let Some(field) = form.next_field().await.map_err(malformed)? {
        let name = field.name().unwrap_or_default().to_owned();
        if field.file_name().is_some() {
            // No file was chosen where there is nothing in it.
            upload = Some(field.bytes().await.map_err(malformed)?).filter(|file| !file.is_empty());
        } else {
            fields.insert(name, field.text().await.map_err(malformed)?);
        }
        if fields.len() > MAX_FIELDS {
            return Err(Problem::bad_request("malformed-form", format!("a form has at most {MAX_FIELDS} fields")));
        }
    }
    Ok((fields, upload))
}

/// Back to the page with the form, which tells why it was refused.
fn back(headers: &HeaderMap, problem: &Problem) -> Response {
    let referer = headers.get(header::REFERER).and_then(|referer| referer.to_str().ok()).unwrap_or(HOME);
    // A path of this site, whatever the header says.
    let page = match referer.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|start| rest.get(start..)).unwrap_or(HOME),
        None => HOME,
    };
    // Two slashes would lead to another site.
    let page = if page.starts_with("//") { HOME } else { page };
    let error = ServerFnUrlError::new("/actions/launch", ActionError::Refused(problem.detail().into()));
    let site = "http://localhost";
    let address = error.to_url(&format!("{site}{page}")).ok();
    let address = address.as_ref().and_then(|address| address.as_str().strip_prefix(site).map(str::to_owned));
    let location: (HeaderName, HeaderValue) = (
        header::LOCATION,
        HeaderValue::try_from(address.unwrap_or_else(|| HOME.into())).unwrap_or(HeaderValue::from_static(HOME)),
    );
    (StatusCode::SEE_OTHER, [location]).into_response()
}
