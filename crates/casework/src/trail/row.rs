//! The columns of CloudTrail that a case needs, and a row of them.

use davylamp_hunt::arrow::array::{
    Array, BooleanArray, RecordBatch, StringViewArray, TimestampMicrosecondArray,
};
use davylamp_hunt::arrow::error::ArrowError;
use jiff::Timestamp;

use crate::columns;

/// What calls from AWS's own side are named by instead of an address.
const INTERNAL: &str = "AWS Internal";

macro_rules! texts {
    ($($name:ident = $column:literal,)*) => {
        /// A column of text.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Text { $(#[doc = $column] $name,)* }

        impl Text {
            /// Every one, in the order of the query.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name in the table.
            pub fn column(self) -> &'static str {
                match self { $(Self::$name => $column,)* }
            }
        }
    };
}

texts! {
    EventSource = "event_source",
    EventName = "event_name",
    EventType = "event_type",
    Account = "account_id",
    Region = "region",
    Place = "source_ip_address",
    Agent = "user_agent",
    ErrorCode = "error_code",
    ErrorKind = "error_kind",
    EventId = "event_id",
    IdentityType = "identity_type",
    PrincipalId = "principal_id",
    Arn = "identity_arn",
    IdentityAccount = "identity_account_id",
    Key = "access_key_id",
    UserName = "user_name",
    InvokedBy = "invoked_by",
    IssuerArn = "session_issuer_arn",
    SourceIdentity = "source_identity",
    RoleDelivery = "ec2_role_delivery",
    ConsoleMfa = "console_mfa",
    Request = "request_parameters",
    Response = "response_elements",
    Source = "_source",
}

/// The columns that are no text.
const TIME: &str = "event_time";
const FLAGS: &[&str] = &[
    "read_only",
    "source_is_address",
    "is_console_session",
    "mfa_authenticated",
];

/// The query that reads them all.
pub fn query() -> String {
    let texts = Text::ALL.iter().map(|text| text.column());
    let all: Vec<&str> = [TIME]
        .into_iter()
        .chain(FLAGS.iter().copied())
        .chain(texts)
        .collect();
    format!("SELECT {} FROM cloudtrail", all.join(", "))
}

/// Rows that came together.
#[derive(Debug)]
pub struct Rows {
    times: TimestampMicrosecondArray,
    flags: Vec<BooleanArray>,
    texts: Vec<StringViewArray>,
}

/// One event.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    rows: &'a Rows,
    index: usize,
}

impl Rows {
    /// The rows of a batch of [`query`].
    ///
    /// # Errors
    /// When the batch is one of another query.
    pub fn of(batch: &RecordBatch) -> Result<Self, ArrowError> {
        let flag = |name: &&str| columns::flags(batch, name);
        let text = |text: &Text| columns::texts(batch, text.column());
        Ok(Self {
            times: columns::times(batch, TIME)?,
            flags: FLAGS.iter().map(flag).collect::<Result<_, ArrowError>>()?,
            texts: Text::ALL
                .iter()
                .map(text)
                .collect::<Result<_, ArrowError>>()?,
        })
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.times.len()).map(|index| Row { rows: self, index })
    }
}

impl<'a> Row<'a> {
    /// A text; the empty one where there is none.
    pub fn text(self, text: Text) -> &'a str {
        let array = &self.rows.texts[text as usize];
        match array.is_valid(self.index) {
            true => array.value(self.index),
            false => "",
        }
    }

    /// When it happened, in microseconds since 1970.
    pub fn micros(self) -> Option<i64> {
        let times = &self.rows.times;
        times.is_valid(self.index).then(|| times.value(self.index))
    }

    /// When it happened.
    pub fn time(self) -> Option<Timestamp> {
        Timestamp::from_microsecond(self.micros()?).ok()
    }

    fn flag(self, number: usize) -> Option<bool> {
        let array = &self.rows.flags[number];
        array.is_valid(self.index).then(|| array.value(self.index))
    }

    /// Whether the call came from an address. Services call by their name.
    pub fn is_from_address(self) -> bool {
        self.flag(1) == Some(true)
    }

    /// Whether AWS did it, for somebody or by itself.
    pub fn is_by_service(self) -> bool {
        let kind = self.text(Text::IdentityType);
        let place = self.text(Text::Place);
        kind.eq_ignore_ascii_case("AWSService")
            || !self.text(Text::InvokedBy).is_empty()
            || self.text(Text::EventType) == "AwsServiceEvent"
            || (!self.is_from_address() && !place.is_empty() && place != INTERNAL)
    }

    /// Whether the credentials came from a console session.
    pub fn is_console_session(self) -> bool {
        self.flag(2) == Some(true)
    }

    /// Whether the session was opened with a second factor.
    pub fn has_mfa(self) -> Option<bool> {
        self.flag(3)
    }

    /// Whether it changes nothing. Old records do not say, but their names do.
    pub fn is_read_only(self) -> bool {
        const READS: &[&str] = &[
            "Get", "List", "Describe", "Head", "Lookup", "BatchGet", "Search",
        ];
        let name = self.text(Text::EventName);
        let by_name = || READS.iter().any(|prefix| name.starts_with(prefix));
        self.flag(0).unwrap_or_else(by_name)
    }

    /// Whether it failed.
    pub fn has_failed(self) -> bool {
        !self.text(Text::ErrorCode).is_empty()
    }

    /// The name of the session, such as the instance whose role it is.
    pub fn session(self) -> &'a str {
        let id = self.text(Text::PrincipalId);
        id.split_once(':').map_or("", |(_, name)| name)
    }
}
