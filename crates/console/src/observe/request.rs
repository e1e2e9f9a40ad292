//! Each request: how often, how long, by whom, with what answer.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;

use super::current::{CURRENT, Current};
use super::meters::{REQUEST_SECONDS, REQUESTS};
use crate::site::Site;

/// What is asked for where there is nothing: paths are others' words.
const NOWHERE: &str = "none";

/// Of these there are too many to be told of.
const QUIET: [&str; 3] = ["/assets/{name}", "/healthz", "/readyz"];

/// Measures one request. Of a live stream it is the time until it begins.
pub(crate) async fn watch(State(site): State<Site>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or(NOWHERE, MatchedPath::as_str).to_owned();
    let method = name(request.method());
    let is_quiet = QUIET.contains(&route.as_str());
    let observe = site.observe();
    let mut span = match is_quiet {
        true => None,
        false => observe
            .tracer
            .request(format!("{method} {route}"), request.headers()),
    };
    let current = Arc::new(Current {
        trace: span
            .as_ref()
            .map(|span| (observe.tracer.clone(), span.context())),
        ..Current::default()
    });
    let response = CURRENT.scope(Arc::clone(&current), next.run(request)).await;
    let (status, took) = (response.status(), began.elapsed().as_secs_f64());
    if let Some(span) = &mut span {
        span.says("http.request.method", method);
        span.says("http.route", route.as_str());
        span.counts("http.response.status_code", status.as_u16().into());
        span.failed(status.is_server_error());
    }
    let meters = &observe.meters;
    meters.count(&REQUESTS, &[&route, method, status.as_str()], 1);
    meters.time(&REQUEST_SECONDS, &[&route, method], took);
    let (by, status) = (current.who.get().map(String::as_str), status.as_u16());
    let took_ms = (took * 1e4).round() / 10.0;
    match is_quiet {
        true => tracing::debug!(method, route, status, took_ms, by, "answered"),
        false => tracing::info!(method, route, status, took_ms, by, "answered"),
    }
    response
}

/// A method by name: one that we do not know is somebody's invention.
fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}
