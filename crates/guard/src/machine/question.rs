//! A question about the machine, before it is answered.

use super::survey::{Group, Need, Row, Verdict};

/// The unchanging half of a row: what is asked, and what hangs on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    pub id: &'static str,
    pub group: Group,
    pub item: &'static str,
    pub need: Need,
    pub lost: &'static str,
}

impl Question {
    pub fn pass(self, found: impl Into<String>) -> Row {
        self.answer(Verdict::Pass, found.into(), None)
    }

    pub fn fail(self, found: impl Into<String>, mend: impl Into<String>) -> Row {
        self.answer(Verdict::Fail, found.into(), Some(mend.into()))
    }

    pub fn unknown(self, found: impl Into<String>, mend: impl Into<String>) -> Row {
        self.answer(Verdict::Unknown, found.into(), Some(mend.into()))
    }

    fn answer(self, verdict: Verdict, found: String, mend: Option<String>) -> Row {
        let Self {
            id,
            group,
            item,
            need,
            lost,
        } = self;
        Row {
            id,
            group,
            item,
            need,
            verdict,
            found,
            lost,
            mend,
        }
    }
}
