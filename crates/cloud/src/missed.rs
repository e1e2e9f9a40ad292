//! Why something could not be read, and whether asking again may help.

use std::fmt;

use davylamp_model::inventory::Unread;

use crate::aws::read::ReadError;
use crate::aws::session::SessionError;
use crate::hub::HubError;
use crate::kubernetes::clusters::ClusterError;
use crate::kubernetes::read::KubeError;

/// Why something could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// Why, with the next step where there is one.
    pub why: String,
    /// Whether it may be read later without anybody doing something.
    pub again: bool,
}

impl Missed {
    /// It will not be read until somebody changes something.
    pub fn for_good(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            again: false,
        }
    }

    /// What an inventory says about it.
    pub fn unread(&self, what: impl Into<String>) -> Unread {
        Unread {
            what: what.into(),
            why: self.why.clone(),
            again: self.again,
        }
    }

    fn of(error: &(dyn std::error::Error + 'static), again: bool) -> Self {
        let why = crate::aws::session::describe(error);
        Self { why, again }
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

impl From<ReadError> for Missed {
    fn from(error: ReadError) -> Self {
        Self::of(&error, error.may_pass())
    }
}

impl From<&SessionError> for Missed {
    fn from(error: &SessionError) -> Self {
        Self::of(error, session(error))
    }
}

impl From<&ClusterError> for Missed {
    fn from(error: &ClusterError) -> Self {
        let again = match error {
            ClusterError::Session(error) => session(error),
            ClusterError::Describe(error) => error.may_pass(),
            ClusterError::Configuration { .. } => false,
        };
        Self::of(error, again)
    }
}

impl From<KubeError> for Missed {
    fn from(error: KubeError) -> Self {
        Self::of(&error, matches!(error, KubeError::Failed { .. }))
    }
}

impl From<&HubError> for Missed {
    fn from(error: &HubError) -> Self {
        let again = match error {
            HubError::Unreachable { .. } | HubError::Answer { .. } => true,
            HubError::Refused { status, .. } => status.is_server_error() || status.as_u16() == 429,
            HubError::Configuration { .. } | HubError::Denied { .. } => false,
        };
        Self::of(error, again)
    }
}

/// Credentials may be late, and a network comes back; what was never configured stays so.
fn session(error: &SessionError) -> bool {
    match error {
        SessionError::NoCredentials { .. }
        | SessionError::Credentials { .. }
        | SessionError::Unreachable { .. }
        | SessionError::Regions { .. } => true,
        SessionError::Absent
        | SessionError::NoRegion
        | SessionError::ForeignAccount { .. }
        | SessionError::IllFormed { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_by_itself_is_asked_for_again() {
        let call = "ec2:DescribeInstances";
        let said = "what it says".to_owned();
        let failed = |may_pass| ReadError::Failed {
            call,
            said: said.clone(),
            may_pass,
        };
        let throttled = ReadError::Throttled {
            call,
            said: said.clone(),
        };
        let denied = ReadError::Denied {
            call,
            said: said.clone(),
        };
        for (error, again) in [
            (throttled, true),
            (denied, false),
            (failed(true), true),
            (failed(false), false),
        ] {
            let missed = Missed::from(error);
            assert_eq!(missed.again, again, "{missed}");
            assert!(missed.why.contains(call), "{missed}");
            assert_eq!(missed.unread("instance i-1").again, again);
        }
        let foreign = SessionError::ForeignAccount {
            account: "111122223333".to_owned(),
        };
        assert!(!Missed::from(&foreign).again);
        let late = SessionError::Credentials { why: said };
        assert!(Missed::from(&late).again);
    }
}
