//! CloudTrail: every call to AWS, by whom, from where, with what and to what effect.
//!
//! In the forms it comes in: files with `Records`, lists, events by themselves or one a line, answers of
//! `LookupEvents`, what CloudWatch Logs has of a trail, and EventBridge's envelope with the event under
//! `detail`. Request and response stay JSON text, to
//! dig in with `json_get`; the flat columns of the identity and of the instances are taken out of
//! them here.
//!
//! What must stay true: a record is a row or a counted fault, whichever columns are asked for.

use super::documents::Documents;
use super::{Log, Object, Order, Reader, Spelling, names};
use crate::table::Table;

mod columns;
mod event;
mod identity;
mod judge;
mod machines;

pub use columns::TABLE;
use event::Events;
pub use identity::principal_of;
pub(crate) use judge::key_kind;

/// The question which calls launched machines, by whom and from where. S3 delivers some twice; a set of
/// machines has each once.
pub(crate) const LAUNCHES: &str = "SELECT DISTINCT event_time, account_id, region, principal, \
     identity_arn, session_issuer_arn, session_name, access_key_id AS key_id, source_ip_address AS address, \
     instance_ids FROM cloudtrail \
     WHERE event_name IN ('RunInstances', 'CreateFleet') AND instance_ids IS NOT NULL";

/// CloudTrail.
#[derive(Debug)]
pub struct CloudTrail;

impl Log for CloudTrail {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn recognises(&self, head: &[u8]) -> bool {
        let has = |name: &[u8]| memchr::memmem::find(head, name).is_some();
        let is_spelt = |name: &str, snake: &str| {
            has(format!("\"{name}\"").as_bytes()) || names(head, name) || names(head, snake)
        };
        let is_event =
            is_spelt("eventSource", "event_source") && is_spelt("eventName", "event_name");
        // An event as text, which CloudWatch Logs keeps.
        let is_text = has(br#"\"eventSource\""#) && has(br#"\"eventName\""#);
        let is_insight = has(b"\"eventVersion\"") && has(b"\"insightDetails\"");
        is_event || is_text || is_insight || is_empty(head)
    }

    fn spelling(&self) -> Spelling {
        Spelling::Json
    }

    fn open(&self, order: &Order, object: &Object) -> Box<dyn Reader> {
        Box::new(Documents::new(Events::new(order, object), order, object))
    }
}

/// Whether it is a file without a record.
fn is_empty(head: &[u8]) -> bool {
    let text = head.iter().filter(|byte| !byte.is_ascii_whitespace());
    text.map(u8::to_ascii_lowercase)
        .eq(br#"{"records":[]}"#.iter().copied())
}
