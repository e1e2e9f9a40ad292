//! Pages: what the ledger holds, to be read at three in the morning on a telephone.
//!
//! What must stay true: every page works without a script, but for what is live; a filter, an order and
//! a place in a list are in the address, which can be sent to a colleague; what lies outside somebody's
//! clusters is not on their pages; what is not known is called unknown, never shown as nothing or as
//! good; names that others chose are text, with every character that could deceive made visible.
//!
//! Not here: deciding anything. A form becomes an entry of the ledger and nothing else.

mod account;
mod asked;
mod asset;
mod blocklists;
mod entry;
mod findings;
mod frame;
mod hunts;
mod incident;
mod incidents;
mod jobs;
mod keys;
mod list;
mod live;
mod message;
mod nodes;
mod overview;
mod posture;
mod queue;
mod runs;
mod settings;
mod sight;
mod soundness;
mod text;
mod time;
mod trail;
mod word;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use davylamp_ledger::rows::IncidentRow;

use crate::access::{Refused, Scope};
use crate::site::Site;

use incident::plans::forms as plans;

pub(crate) use account::note_own;
pub(crate) use nodes::SILENT_AFTER;
pub(crate) use word::SEVERITIES;

pub(crate) use message::{absent, message, sign_in, sign_in_by_link};
pub(crate) use posture::Audits;
pub(crate) use settings::people::noted;
pub(crate) use settings::visible_name as name;
pub(crate) use text::plain;

pub(crate) fn routes(site: &Site) -> Router<Site> {
    Router::new()
        .route("/", get(overview::show))
        .route("/incidents", get(incidents::show))
        .route("/incidents/{no}", get(incident::show))
        .route("/incidents/{no}/state", post(incident::forms::state))
        .route("/incidents/{no}/owner", post(incident::forms::owner))
        .route("/incidents/{no}/clock", post(incident::forms::clock))
        .route("/incidents/{no}/note", post(incident::forms::note))
        .route("/incidents/{no}/cost", post(incident::cost::say))
        .route("/incidents/{no}/plan", post(plans::plan_wanted))
        .route("/incidents/{no}/plan/approve", post(plans::approve))
        .route("/incidents/{no}/plan/run", post(plans::run))
        .route("/incidents/{no}/plan/undo", post(plans::undo))
        .route("/incidents/{no}/job/withdraw", post(plans::withdraw))
        .route("/incidents/{no}/{file}", get(incident::report::show))
        .route(
            "/incidents/{no}/evidence/{id}",
            get(incident::evidence::show),
        )
        .route("/findings", get(findings::show))
        .route("/findings/{id}", get(findings::one::show))
        .route("/live", get(live::show))
        .route("/queue", get(queue::show))
        .route("/posture", get(posture::show))
        .route("/posture/check", get(posture::routes::check))
        .route("/posture/runs", get(posture::routes::runs))
        .route("/posture/compare", get(posture::routes::compare))
        .route("/posture/risks", get(posture::routes::risks))
        .route("/posture/accept", post(posture::routes::accept))
        .route("/posture/withdraw", post(posture::routes::withdraw))
        .route("/hunts", get(hunts::show).post(hunts::forms::run))
        .route("/hunts/runs", get(hunts::runs))
        .route("/hunts/withdraw", post(hunts::forms::withdraw))
        .route("/blocklists", get(blocklists::show))
        .route("/blocklists/change", post(blocklists::change::judge))
        .route("/keys", get(keys::show))
        .route("/nodes", get(nodes::show))
        .route("/ledger", get(trail::show))
        .route("/account", get(account::show))
        .route("/account/password", post(account::password::change))
        .route(
            "/account/factor",
            get(account::factor::show).post(account::factor::begin),
        )
        .route("/account/factor/confirm", post(account::factor::confirm))
        .route("/account/factor/codes", post(account::factor::codes))
        .route("/account/factor/remove", post(account::factor::remove))
        .route("/account/sessions/end", post(account::sessions::end))
        .route(
            "/account/sessions/end-others",
            post(account::sessions::end_others),
        )
        .route("/settings", get(settings::show))
        .route("/settings/people", post(settings::people::add))
        .route("/settings/people/change", post(settings::people::change))
        .route("/settings/people/link", post(settings::people::link))
        .route("/settings/people/factor", post(settings::people::factor))
        .route("/settings/tokens", post(settings::tokens::add))
        .route("/settings/tokens/revoke", post(settings::tokens::revoke))
        .route("/settings/notices", get(settings::notices::show))
        .route("/settings/notices/test", post(settings::notices::test))
        .route("/settings/notices/again", post(settings::notices::again))
        .method_not_allowed_fallback(|| async { message::wrong_method() })
        .layer(from_fn_with_state(site.clone(), message::in_frame))
        .route("/assets/{name}", get(asset::serve))
}

/// Whether a scope holds all of an incident.
pub(crate) fn sees_whole(scope: &Scope, row: &IncidentRow) -> bool {
    sight::of(scope, row) == sight::Sight::Whole
}

/// What lasts as long as somebody watches.
pub(crate) fn stream() -> Router<Site> {
    Router::new().route("/live/stream", get(live::stream))
}

/// A number in a path. What is none leads nowhere.
fn number(text: &str) -> Result<i64, Refused> {
    text.parse().map_err(|_| Refused::Absent)
}

/// An entry as one row of what is live.
pub(crate) fn live_row(
    entry: &davylamp_ledger::Entry,
    record: Option<&davylamp_ledger::Record>,
) -> String {
    live::rendered(entry, record, jiff::Timestamp::now())
}
