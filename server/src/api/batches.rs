//! Launch, list, read, control and delete batches.

use std::cmp::Reverse;

use ::api::{
    BatchChanges, BatchDocument, BatchList, CancelQuery, LapRequest, LaunchRequest, ListQuery, ReasonCount, ReasonList,
};
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, Multipart, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use bytes::Bytes;
use engine::work::Upload;
use quilt::request::concurrency_within;
use quilt::{BatchId, Control, Halt, LapSet, OwnerId};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::document::batch_document;
use super::path::{BatchPath, SquarePath};
use crate::problem::Problem;
use crate::session::{fresh_launch, keyed_launch};
use crate::state::AppState;

/// Maximum length of an `Idempotency-Key`, in characters.
const MAX_IDEMPOTENCY_KEY: usize = 255;

/// Maximum and default number of batches per page of a list.
const MAX_LIMIT: u32 = 100;

/// Maximum number of reasons in a response.
const MAX_REASONS: usize = 1_000;

/// `POST /api/batches`.
pub(super) async fn launch(
    State(state): State<AppState>,
    Extension(visitor): Extension<OwnerId>,
    headers: HeaderMap,
    request: Request,
) -> Result<impl IntoResponse, Problem> {
    let launch = match idempotency_key(&headers)? {
        Some(key) => keyed_launch(&state.key, visitor, key),
        None => fresh_launch(),
    };
    let (request, upload) = read_launch(&headers, request).await?;
    let summary = state.engine.launch_request(launch, visitor, request, upload, &state.limits).await?;
    let (id, _) = launch;
    let location = format!("/api/batches/{id}");
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(batch_document(id, summary))))
}

/// `GET /api/batches`.
pub(super) async fn list(
    State(state): State<AppState>,
    Extension(visitor): Extension<OwnerId>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<BatchList>, Problem> {
    let Query(ListQuery { after, limit }) =
        query.map_err(|rejection| Problem::bad_request("invalid-query", rejection.body_text()))?;
    let limit = limit.unwrap_or(MAX_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let detail = format!("limit must be a whole number from 1 to {MAX_LIMIT}, not {limit}");
        return Err(Problem::bad_request("invalid-query", detail));
    }
    let listing = state.engine.list(visitor, after, limit).await?;
    let batches = listing.batches.into_iter().map(|(id, summary)| batch_document(id, summary)).collect();
    Ok(Json(BatchList { batches, next: listing.next }))
}

/// `GET /api/batches/{id}`.
pub(super) async fn get(
    State(state): State<AppState>,
    BatchPath(id): BatchPath,
) -> Result<Json<BatchDocument>, Problem> {
    let batch = state.engine.open(id).await?.ok_or_else(Problem::no_such_batch)?;
    let summary = batch.folded().quilt.summary();
    Ok(Json(batch_document(id, summary)))
}

/// `PATCH /api/batches/{id}`.
pub(super) async fn change(
    State(state): State<AppState>,
    Extension(visitor): Extension<OwnerId>,
    BatchPath(id): BatchPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<BatchDocument>, Problem> {
    let BatchChanges { concurrency } = read_json(&headers, body).await?;
    let concurrency = concurrency.as_ref().map(concurrency_within).transpose()?;
    let summary = state.engine.control(id, visitor, Control::SetConcurrency(concurrency)).await?;
    Ok(Json(batch_document(id, summary)))
}

/// `POST /api/batches/{id}/pause`.
pub(super) async fn pause(
    State(state): State<AppState>,
    Extension(visitor): Extension<OwnerId>,
    BatchPath(id): BatchPath,
) -> Result<Json<BatchDocument>, Problem> {
    Ok(Json(batch_document(id, state.engine.control(id, visitor, Control::Pause).await?)))
}

/// `POST /api/batches/{id}/resume`.
pub(super) async fn resume(
    State(state): State<AppState>,
    Extension(visitor): Extension<OwnerId>,
    BatchPath(id): BatchPath,
) -> Result<Json<BatchDocument>, Problem> {
    Ok(Json(batch_document(id, state.engine.control(id, visitor, Control::Resume).await?)))
}

/// `POST /api/batches/{id}/cancel`.
pub(super) async fn cancel(
    State(state): State<AppState>,
    Extension(visitor): Extension<OwnerId>,
    BatchPath(id): BatchPath,
    query: Result<Query<CancelQuery>, QueryRejection>,
) -> Result<Json<BatchDocument>, Problem> {
    let Query(CancelQuery { drain }) =
        query.map_err(|rejection| Problem::bad_request("invalid-query", rejection.body_text()))?;
    let halt = if drain { Halt::Soon } else { Halt::Now };
    Ok(Json(batch_document(id, state.engine.cancel(id, visitor, halt).await?)))
}

/// `POST /api/batches/{id}/retry`.
pub(super) async fn retry(
    State(state): State<AppState>,
    Extension(visitor): Extension<OwnerId>,
    BatchPath(id): BatchPath,
    body: Bytes,
) -> Result<Json<BatchDocument>, Problem> {
    start_lap(&state, visitor, id, LapSet::Failed, lap_request(&body)?).await
}

/// `POST /api/batches/{id}/continue`.
pub(super) async fn continue_batch(
    State(state): State<AppState>,
    Extension(visitor): Extension<OwnerId>,
    BatchPath(id): BatchPath,
    body: Bytes,
) -> Result<Json<BatchDocument>, Problem> {
    start_lap(&state, visitor, id, LapSet::NotRun, lap_request(&body)?).await
}

/// `POST /api/batches/{id}/squares/{row}/{column}/retry`.
pub(super) async fn retry_square(
    State(state): State<AppState>,
    Extension(visitor): Extension<OwnerId>,
    SquarePath(id, square): SquarePath,
) -> Result<Json<BatchDocument>, Problem> {
    Ok(Json(batch_document(id, state.engine.retry_square(id, visitor, square).await?)))
}

async fn start_lap(
    state: &AppState,
    visitor: OwnerId,
    id: BatchId,
    default: LapSet,
    request: LapRequest,
) -> Result<Json<BatchDocument>, Problem> {
    let summary = state.engine.start_lap(id, visitor, default, request, state.limits).await?;
    Ok(Json(batch_document(id, summary)))
}

/// Parses a body; an empty one is the default request.
fn lap_request(body: &[u8]) -> Result<LapRequest, Problem> {
    if body.is_empty() {
        return Ok(LapRequest::default());
    }
    parse_json(body)
}

/// `GET /api/batches/{id}/reasons`.
pub(super) async fn reasons(
    State(state): State<AppState>,
    BatchPath(id): BatchPath,
) -> Result<Json<ReasonList>, Problem> {
    let batch = state.engine.open(id).await?.ok_or_else(Problem::no_such_batch)?;
    let folded = batch.folded();
    let count = |(reason, squares): (&str, u32)| ReasonCount { reason: reason.into(), squares };
    let mut reasons: Vec<ReasonCount> = folded.quilt.reasons().map(count).collect();
    let total = u32::try_from(reasons.len()).unwrap_or(u32::MAX);
    reasons.sort_by_key(|reason| Reverse(reason.squares));
    reasons.truncate(MAX_REASONS);
    Ok(Json(ReasonList { reasons, total }))
}

/// `DELETE /api/batches/{id}`.
pub(super) async fn remove(
    State(state): State<AppState>,
    Extension(visitor): Extension<OwnerId>,
    BatchPath(id): BatchPath,
) -> Result<StatusCode, Problem> {
    state.engine.remove(id, visitor).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Reads a launch request: JSON, or a multipart form with the JSON in the field `launch` and a file in the field `file`.
async fn read_launch(headers: &HeaderMap, request: Request) -> Result<(LaunchRequest, Option<Upload>), Problem> {
    if !essence(headers).eq_ignore_ascii_case("multipart/form-data") {
        return Ok((read_json(headers, request.into_body()).await?, None));
    }
    let malformed =
        |reason: String| Problem::bad_request("malformed-form", format!("the form cannot be read: {reason}"));
    let form = Multipart::from_request(request, &()).await.map_err(|error| malformed(error.body_text()));
    let (mut form, mut launch, mut upload) = (form?, None, None);
    while let Some(field) = form.next_field().await.map_err(|error| malformed(error.body_text()))? {
        let name = field.name().unwrap_or_default().to_owned();
        let file = field.file_name().map(Into::into);
        let content = field.bytes().await.map_err(|error| malformed(error.body_text()))?;
        match name.as_str() {
            "launch" => launch = Some(parse_json(&content)?),
            "file" => upload = Some(Upload { name: file, content }),
            _ => return Err(malformed(format!("there is no field '{name}'; there are launch and file"))),
        }
    }
    Ok((launch.ok_or_else(|| malformed("its field launch is missing".into()))?, upload))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    key.to_str().ok().filter(|key| (1..=MAX_IDEMPOTENCY_KEY).contains(&key.len())).map(Some).ok_or_else(|| {
        let detail = format!("an Idempotency-Key has 1 to {MAX_IDEMPOTENCY_KEY} visible ASCII characters");
        Problem::bad_request("invalid-idempotency-key", detail)
    })
}

async fn read_json<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Problem> {
    let essence = essence(headers);
    if !essence.eq_ignore_ascii_case("application/json") {
        let detail = format!("the body must be application/json, not '{essence}'");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", detail));
    }
    // `limit_body` limits the size.
    let bytes = axum::body::to_bytes(body, usize::MAX)
        .await
        .map_err(|_| Problem::bad_request("broken-body", "the body broke off"))?;
    parse_json(&bytes)
}

/// Returns the media type of the body without parameters.
fn essence(headers: &HeaderMap) -> &str {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim()
}

fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        Category::Data => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-body", error.to_string()),
        Category::Io | Category::Syntax | Category::Eof => {
            Problem::bad_request("malformed-json", format!("the body is not JSON: {error}"))
        }
    })
}
