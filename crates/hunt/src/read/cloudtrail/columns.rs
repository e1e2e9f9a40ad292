//! The table of CloudTrail events. Source: the AWS CloudTrail user guide, "CloudTrail record
//! contents" and "CloudTrail userIdentity element".

use crate::read::interfaces;
use crate::table::{Column, SOURCE, Table, boolean, float, integer, text, time};

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
    text("identity_arn", "the ARN of the caller").verbatim(),
    text("identity_account_id", "the account of the caller").verbatim(),
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
    text(
        "account_id",
        "recipient_account_id, otherwise the account of the caller, otherwise that of the object's key",
    )
    .computed(),
    text(
        "region",
        "aws_region; where the record lacks it, the region of the object's key",
    )
    .computed(),
    integer("event_epoch", "event_time in seconds since 1970").computed(),
    time("window_start", "event_time, rounded down to five minutes").computed(),
    integer("window_epoch", "window_start in seconds since 1970").computed(),
    text(
        "principal",
        "who acted: the key that signed, otherwise the ARN, the id or the service",
    )
    .computed(),
    text(
        "session_name",
        "the name of the session, such as the instance whose role it is",
    )
    .computed(),
    boolean(
        "source_is_address",
        "whether source_ip_address is an address",
    )
    .computed(),
    boolean(
        "source_is_public",
        "whether it is one of the public Internet; false for services",
    )
    .computed(),
    text(
        "key_kind",
        "long-term or temporary, by access_key_id; NULL for neither",
    )
    .computed(),
    text(
        "error_kind",
        "none, dry-run, denied, throttled, quota, capacity, invalid or other",
    )
    .computed(),
    text(
        "instance_ids",
        "every instance that request and response name, joined by commas",
    )
    .computed(),
    text(
        interfaces::COLUMN,
        "each machine with each of its network interfaces as INSTANCE=INTERFACE, joined by commas",
    )
    .computed(),
    text(
        "instance_types",
        "every instance type that request and response name, joined by commas",
    )
    .computed(),
    integer(
        "instance_count",
        "how many machines were started, otherwise asked for, by the calls that start some",
    )
    .computed(),
    integer(
        "vcpus",
        "virtual processors of all these machines, by the largest type; NULL for unknown types",
    )
    .computed(),
    boolean(
        "gpu",
        "whether a type with accelerators is among them; NULL without types",
    )
    .computed(),
    float(
        "price_per_hour",
        "dollars an hour of all these machines: an estimate, by the on-demand price of Linux in \
         us-east-1; NULL unless there is one type and its price is known",
    )
    .computed(),
    text("new_key_id", "the access key that the call made").computed(),
    text("target_user", "the user that the call is about").computed(),
    text("target_role", "the role that the call is about").computed(),
    text("policy_arn", "the policy that the call is about").computed(),
    boolean(
        "is_console_session",
        "whether the credentials came from a console session",
    )
    .computed(),
    text(
        "console_mfa",
        "of a console login, whether a second factor was used: Yes or No",
    )
    .computed(),
    boolean(
        "opens_public",
        "whether the call gives a machine a public address or opens a door to the world, or tries",
    )
    .computed(),
    boolean(
        "disables_termination",
        "whether the call protects machines from being ended, or tries",
    )
    .computed(),
    SOURCE,
];

/// The table of CloudTrail events.
pub static TABLE: Table = Table {
    name: "cloudtrail",
    about: "a call to an AWS service, or something that happened there",
    time: "event_time",
    account: Some("account_id"),
    region: Some("region"),
    columns: COLUMNS,
};
