//! Previews of the presets of a form: the same work on a small grid.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use engine::work::{Registry, Task, TaskContext, Work};
use quilt::{BatchSpec, Grid, Index, WorkSpec};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::picture::Raster;
use crate::problem::Problem;
use crate::state::AppState;

/// Rows and columns of a preview. Each square is a pixel.
const PREVIEW_SIDE: u16 = 80;

/// The deadline for all tasks of a preview.
const DRAW_TIMEOUT: Duration = Duration::from_secs(10);

/// `GET /presets/{kind}/{number}.png`.
pub(crate) async fn preview(
    State(state): State<AppState>,
    Path((kind, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let not_found = || Problem::new(StatusCode::NOT_FOUND, "no-preset", "there is no such preset to be drawn");
    let number: usize = file.strip_suffix(".png").and_then(|number| number.parse().ok()).ok_or_else(not_found)?;
    let registry = state.engine.registry();
    let form = registry.kind(&kind).and_then(|kind| kind.form()).filter(|form| form.draws_presets);
    let preset = form.and_then(|form| form.presets.into_iter().nth(number)).ok_or_else(not_found)?;
    let tag = concat!("\"", env!("CARGO_PKG_VERSION"), "\"");
    let answer_headers =
        [(header::CONTENT_TYPE, "image/png"), (header::ETAG, tag), (header::CACHE_CONTROL, "max-age=3600")];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known == tag) {
        return Ok((StatusCode::NOT_MODIFIED, answer_headers).into_response());
    }
    let key = (kind.clone(), number);
    let cached = || state.previews.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
    if let Some(png) = cached() {
        return Ok((answer_headers, png).into_response());
    }
    let permit = Arc::clone(&state.pictures).acquire_owned().await.map_err(|_| Problem::internal())?;
    if let Some(png) = cached() {
        return Ok((answer_headers, png).into_response());
    }
    let values = preset.values.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    let work = WorkSpec { kind, parameters: values.collect() };
    let prepared = registry.prepare(work, None).await?;
    let registry = registry.clone();
    let drawn = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        draw(&registry, prepared.work)
    });
    let drawn = drawn.await.map_err(|error| error.to_string()).flatten();
    let png = drawn.map_err(|error| {
        tracing::error!(error, "a preset cannot be drawn");
        Problem::internal()
    })?;
    state.previews.lock().unwrap_or_else(PoisonError::into_inner).insert(key, png.clone());
    Ok((answer_headers, png).into_response())
}

fn draw(registry: &Registry, work: WorkSpec) -> Result<Bytes, String> {
    let grid = Grid::new(PREVIEW_SIDE, PREVIEW_SIDE).ok_or("there is no such grid")?;
    let work = registry.build(&BatchSpec::new(work, grid, 1), None).map_err(|error| error.to_string())?;
    let Work::Blocking(work) = work else { return Err("its tasks do not compute".into()) };
    let context = TaskContext { deadline: Instant::now() + DRAW_TIMEOUT, cancelled: CancellationToken::new() };
    let mut pixels = Vec::with_capacity(grid.squares() as usize * 4);
    for index in (0..grid.squares()).map(Index) {
        let done = work
            .run(Task { index, seed: 1, lap: 1, attempt: 1, lease: Default::default() }, &context)
            .map_err(|error| error.reason)?;
        let [_, red, green, blue] = done.color.rgb().to_be_bytes();
        pixels.extend([red, green, blue, 0xff]);
    }
    let raster = Raster { width: PREVIEW_SIDE.into(), height: PREVIEW_SIDE.into(), pixels };
    raster.encode().map(Bytes::from).map_err(|error| error.to_string())
}
