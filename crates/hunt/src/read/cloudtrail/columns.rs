//! The table of CloudTrail events. Source: the AWS CloudTrail user guide, "CloudTrail record
//! contents" and "CloudTrail userIdentity element".

use crate::table::{Column, SOURCE, Table, boolean, integer, text, time};

const COLUMNS: &[Column] = &[
    time("event_time", "when the call was made"),
    text(
        "event_source",
        "the service that was called, such as ec2.amazonaws.com",
    )
    .verbatim(),
    text("event_name", "the action, such as RunInstances").verbatim(),
    text("aws_region", "the region that was called").verbatim(),
    text(
        "source_ip_address",
        "who called: an address, or the name of an AWS service; see source_is_address",
    )
    .verbatim(),
    text("user_agent", "what called").verbatim(),
    text("error_code", "why it failed, where it did").verbatim(),
    text("error_message", "the same in words").verbatim(),
    text("event_id", "the id of the event; deliveries may repeat one").verbatim(),
    text("request_id", "the id of the request").verbatim(),
    text(
        "event_type",
        "AwsApiCall, AwsServiceEvent, AwsConsoleSignIn, AwsCloudTrailInsight",
    )
    .verbatim(),
    text(
        "event_category",
        "Management, Data, NetworkActivity or Insight",
    )
    .verbatim(),
    text("event_version", "the version of the record").verbatim(),
    text("api_version", "the version of the API").verbatim(),
    boolean("read_only", "whether the action changes nothing"),
    boolean("management_event", "whether it is a management event"),
    text(
        "recipient_account_id",
        "the account that the record was delivered for",
    )
    .verbatim(),
    text(
        "shared_event_id",
        "the id that the records of several accounts share",
    )
    .verbatim(),
    text("vpc_endpoint_id", "the VPC endpoint the call came through").verbatim(),
    text("vpc_endpoint_account_id", "the owner of that endpoint").verbatim(),
    boolean(
        "session_credential_from_console",
        "whether the credentials came from a console session",
    ),
    text("user_identity", "who called, as JSON"),
    text("request_parameters", "what was asked for, as JSON"),
    text("response_elements", "what was answered, as JSON"),
    text(
        "additional_event_data",
        "what else the service says, as JSON",
    ),
    text("service_event_details", "what triggered the event, as JSON"),
    text("resources", "the resources touched, as JSON"),
    text("insight_details", "what was unusual, as JSON"),
    text("tls_details", "how the call was encrypted, as JSON"),
    text("addendum", "why the record came late or again, as JSON"),
    text("edge_device_details", "the edge device called, as JSON"),
    // Out of user_identity.
    text("identity_type", "IAMUser, AssumedRole, Root, AWSService, …").verbatim(),
    text(
        "principal_id",
        "the id of the caller, with the session's name",
    )
    .verbatim(),
    text("arn", "the ARN of the caller").verbatim(),
    text("account_id", "the account of the caller").verbatim(),
    text("access_key_id", "the key that signed the call").verbatim(),
    text("user_name", "the name of the user").verbatim(),
    text("invoked_by", "the service that called on somebody's behalf").verbatim(),
    text("identity_provider", "who vouched for a federated caller").verbatim(),
    text(
        "session_issuer_type",
        "what the session is of: Role, User, Root",
    )
    .verbatim(),
    text(
        "session_issuer_arn",
        "the ARN of the role or user the session is of",
    )
    .verbatim(),
    text(
        "session_issuer_user_name",
        "the name of the role or user the session is of",
    )
    .verbatim(),
    text(
        "session_issuer_account_id",
        "the account of the role or user the session is of",
    )
    .verbatim(),
    boolean(
        "mfa_authenticated",
        "whether the session was opened with a second factor",
    ),
    time("session_created", "when the session was opened"),
    text("source_identity", "whom the session was opened for").verbatim(),
    text(
        "ec2_role_delivery",
        "the version of the metadata service that handed out the credentials",
    )
    .verbatim(),
    // Worked out.
    boolean(
        "source_is_address",
        "whether source_ip_address is an address",
    )
    .computed(),
    boolean(
        "source_is_public",
        "whether it is one of the public Internet; NULL for none",
    )
    .computed(),
    text(
        "key_kind",
        "long_lived, temporary or other, by access_key_id",
    )
    .computed(),
    text(
        "error_kind",
        "denied, limit, dry_run, throttled, invalid, missing or other",
    )
    .computed(),
    text(
        "instance_ids",
        "every instance that request and response name, joined by commas",
    )
    .computed(),
    integer("instance_count", "how many these are").computed(),
    text(
        "principal",
        "whom the call belongs to: the role or user behind the session",
    )
    .computed(),
    time("window_start", "event_time, rounded down to five minutes").computed(),
    SOURCE,
];

/// The table of CloudTrail events.
pub static TABLE: Table = Table {
    name: "cloudtrail",
    about: "a call to an AWS service, or something that happened there",
    time: "event_time",
    account: Some("recipient_account_id"),
    region: Some("aws_region"),
    columns: COLUMNS,
};
