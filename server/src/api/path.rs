//! Extractors of path parameters. Malformed parameters are rejected as not found.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use quilt::{BatchId, Square};

use crate::problem::Problem;

/// The batch in a path.
pub(super) struct BatchPath(pub(super) BatchId);

impl<S: Send + Sync> FromRequestParts<S> for BatchPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id = Path::<String>::from_request_parts(parts, state).await.ok().and_then(|Path(id)| id.parse().ok());
        id.map(Self).ok_or_else(Problem::no_such_batch)
    }
}

/// The batch and the square in a path.
pub(super) struct SquarePath(pub(super) BatchId, pub(super) Square);

impl<S: Send + Sync> FromRequestParts<S> for SquarePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, String, String)>::from_request_parts(parts, state).await;
        let Path((id, row, column)) = path.map_err(|_| Problem::no_such_batch())?;
        let id = id.parse().map_err(|_| Problem::no_such_batch())?;
        match (row.parse(), column.parse()) {
            (Ok(row), Ok(column)) => Ok(Self(id, Square { row, column })),
            _ => Err(Problem::no_such_square()),
        }
    }
}
