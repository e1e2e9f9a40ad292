//! CloudTrail: every call to AWS, by whom, from where, with what and to what effect.
//!
//! In the forms it comes in: files with `Records`, lists, events by themselves or one a line, and
//! EventBridge's envelope with the event under `detail`. Request and response stay JSON text, to
//! dig in with `json_get`; the flat columns of the identity and of the instances are taken out of
//! them here.
//!
//! What must stay true: a record is a row or a counted fault, whichever columns are asked for.

use super::documents::Documents;
use super::{Log, Object, Order, Reader, Spelling};
use crate::table::Table;

mod columns;
mod event;
mod identity;
mod judge;
mod machines;

pub use columns::TABLE;
use event::Events;
pub use identity::principal_of;

/// CloudTrail.
#[derive(Debug)]
pub struct CloudTrail;

impl Log for CloudTrail {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn recognises(&self, head: &[u8]) -> bool {
        let has = |name: &[u8]| memchr::memmem::find(head, name).is_some();
        let is_event = (has(b"\"eventSource\"") || has(b"\"EventSource\""))
            && (has(b"\"eventName\"") || has(b"\"EventName\""));
        is_event || (has(b"\"eventVersion\"") && has(b"\"insightDetails\""))
    }

    fn spelling(&self) -> Spelling {
        Spelling::Json
    }

    fn open(&self, order: &Order, object: &Object) -> Box<dyn Reader> {
        Box::new(Documents::new(Events::new(order, object), order, object))
    }
}
