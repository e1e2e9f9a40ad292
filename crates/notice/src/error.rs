//! Why a channel cannot be had, and why something was not sent.

/// Why there can be no such channel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// The address is none, or would be sent in the clear.
    #[error("the address of {channel} is not an https:// address")]
    Address {
        /// The channel.
        channel: String,
    },
    /// There is no way to speak TLS on this machine.
    #[error("no HTTP client can be made for {channel}")]
    Client {
        /// The channel.
        channel: String,
        /// Why.
        why: String,
    },
    /// A mail address cannot be read.
    #[error("'{address}' is not a mail address")]
    Mailbox {
        /// The address.
        address: String,
    },
    /// Mail would go to nobody.
    #[error("{channel} has nobody to write to")]
    NoRecipient {
        /// The channel.
        channel: String,
    },
}

/// Why something was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The other side asked to come back later, or did not answer: repeat.
    #[error("{channel} does not answer as it should: {why}")]
    Transient {
        /// Which channel.
        channel: String,
        /// What it said.
        why: String,
    },
    /// We may not.
    #[error("{call} is not allowed: {why}")]
    Denied {
        /// The call, such as `sns:Publish`.
        call: String,
        /// What was said.
        why: String,
    },
    /// The other side refuses, and would refuse again.
    #[error("{channel} refuses: {why}")]
    Refused {
        /// Which channel.
        channel: String,
        /// What it said.
        why: String,
    },
}

impl SendError {
    /// Whether repeating it may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient { .. })
    }
}

/// An error with what caused it, each thing once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    for cause in std::iter::successors(error.source(), |cause| cause.source()) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}
