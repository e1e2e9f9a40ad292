//! The description of the API for machines: OpenAPI 3.1, held in the program.
//!
//! Tests compare it with every route below `/api`, and what a running console answers with it.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;

use crate::site::Site;

const DOCUMENT: &str = include_str!("../openapi.json");

pub(crate) fn routes() -> Router<Site> {
    Router::new().route("/api/v1/openapi.json", get(serve))
}

/// Anybody may read it: it is in the repository, too.
async fn serve() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT)
}
