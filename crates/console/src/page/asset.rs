//! Our own style, script and mark, held in the program and kept by browsers for as long as they are
//! the same.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

use crate::access::Refused;

/// An address changes with what it holds: a year is as good as for ever.
const KEPT: &str = "public, max-age=31536000, immutable";

const ASSETS: [(&str, &str, &str); 3] = [
    (
        "console.css",
        "text/css; charset=utf-8",
        include_str!("../../assets/console.css"),
    ),
    (
        "console.js",
        "text/javascript; charset=utf-8",
        include_str!("../../assets/console.js"),
    ),
    (
        "mark.svg",
        "image/svg+xml",
        include_str!("../../assets/mark.svg"),
    ),
];

static ADDRESSES: LazyLock<[String; 3]> = LazyLock::new(|| {
    ASSETS.map(|(name, _, text)| {
        let digest = hex::encode(Sha256::digest(text));
        format!("/assets/{name}?v={}", &digest[..12])
    })
});

pub(super) fn style() -> &'static str {
    &ADDRESSES[0]
}

pub(super) fn script() -> &'static str {
    &ADDRESSES[1]
}

pub(super) fn mark() -> &'static str {
    &ADDRESSES[2]
}

pub(super) async fn serve(Path(name): Path<String>) -> Result<Response, Refused> {
    let asset = ASSETS.iter().find(|(known, ..)| *known == name);
    let (_, kind, text) = asset.ok_or(Refused::Absent)?;
    Ok(([(CONTENT_TYPE, *kind), (CACHE_CONTROL, KEPT)], *text).into_response())
}
