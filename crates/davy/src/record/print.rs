//! Rows of things, for reading and for programs.

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{Cell, ContentArrangement, Table};
use davylamp_hunt::tally::printable;
use davylamp_recorder::diff::Member;
use serde_json::Value;

use super::args::Form;
use crate::failure::Failure;
use crate::output::{emit, emit_lines, quiet_json};

/// A value is shown up to this many characters for reading; every other form has all of it.
const SHOWN_CHARS: usize = 60;
/// Members that are shown of a change for reading.
const SHOWN_MEMBERS: usize = 6;

/// What of a state says in a line what the thing is.
const ABOUT: &[(&str, &[&str])] = &[
    (
        "instance",
        &[
            "InstanceType",
            "State.Name",
            "PublicIpAddress",
            "PlatformDetails",
            "InstanceLifecycle",
            "LaunchTime",
        ],
    ),
    (
        "spot-request",
        &["LaunchSpecification.InstanceType", "State", "InstanceId"],
    ),
    ("volume", &["Size", "VolumeType", "State"]),
    ("address", &["PublicIp", "InstanceId"]),
    ("security-group", &["GroupName", "Description"]),
    ("key-pair", &["KeyName", "CreateTime"]),
    (
        "launch-template",
        &["LaunchTemplateName", "CreatedBy", "LatestVersionNumber"],
    ),
    ("scaling-group", &["DesiredCapacity", "MaxSize"]),
    ("snapshot", &["VolumeId", "StartTime"]),
    ("image", &["Name", "Public", "CreationDate", "usedBy"]),
    ("user", &["Arn", "CreateDate", "PasswordLastUsed"]),
    ("login-profile", &["CreateDate"]),
    ("mfa-device", &["UserName", "EnableDate"]),
    (
        "access-key",
        &[
            "UserName",
            "Status",
            "CreateDate",
            "AccessKeyLastUsed.LastUsedDate",
            "AccessKeyLastUsed.ServiceName",
            "AccessKeyLastUsed.Region",
        ],
    ),
    ("role", &["CreateDate", "RoleLastUsed.LastUsedDate"]),
    (
        "trail",
        &[
            "IsLogging",
            "IsMultiRegionTrail",
            "S3BucketName",
            "StopLoggingTime",
        ],
    ),
    ("guardduty-detector", &["Status", "UpdatedAt"]),
    ("config-recorder", &["recording", "lastStatus"]),
    ("quota", &["QuotaName", "Value"]),
    ("bucket", &["CreationDate", "PolicyStatus.IsPublic"]),
    ("region", &["OptInStatus"]),
    (
        "eks-nodegroup",
        &["instanceTypes", "scalingConfig.desiredSize"],
    ),
    (
        "ecs-task",
        &["taskDefinitionArn", "cpu", "lastStatus", "startedBy"],
    ),
    (
        "lambda-function",
        &["Runtime", "MemorySize", "LastModified"],
    ),
    (
        "sagemaker-notebook",
        &["InstanceType", "NotebookInstanceStatus"],
    ),
    ("node", &["spec.providerID", "status.nodeInfo.osImage"]),
];

/// Members of any state that say something, where nothing is said above.
const ANYTHING: &[&str] = &[
    "status",
    "Status",
    "State",
    "CreateDate",
    "metadata.creationTimestamp",
];

/// A state in a line.
pub(super) fn about(kind: &str, state: &Value) -> String {
    let known = ABOUT.iter().find(|(name, _)| *name == kind);
    let paths = known.map_or(ANYTHING, |(_, paths)| paths);
    let said = paths.iter().filter_map(|path| {
        let value = path
            .split('.')
            .try_fold(state, |value, name| value.get(name))?;
        Some(short(value))
    });
    said.collect::<Vec<_>>().join(", ")
}

/// What changed, in a line.
pub(super) fn changes(members: &[Member]) -> String {
    let value = |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), short);
    let said = members.iter().take(SHOWN_MEMBERS).map(|member| {
        let (before, after) = (value(&member.before), value(&member.after));
        format!("{}: {before} -> {after}", member.name())
    });
    let mut text = said.collect::<Vec<_>>().join("; ");
    if members.len() > SHOWN_MEMBERS {
        text.push_str(&format!("; and {} more", members.len() - SHOWN_MEMBERS));
    }
    text
}

fn short(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// Rows, printed at the end.
pub(super) struct Rows {
    form: Form,
    names: Vec<&'static str>,
    table: Table,
    text: String,
    count: usize,
}

impl Rows {
    /// Rows with columns of these names.
    pub fn new(form: Form, names: &[&'static str]) -> Self {
        let mut table = Table::new();
        table
            .load_preset(UTF8_BORDERS_ONLY)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header(names);
        Self {
            form,
            names: names.to_vec(),
            table,
            text: String::new(),
            count: 0,
        }
    }

    /// Adds a row: its cells for reading, and all of it for programs.
    pub fn add(&mut self, cells: Vec<String>, whole: Value) {
        self.count += 1;
        match self.form {
            Form::Table => {
                let cells = cells.iter().map(|cell| Cell::new(printable(cell)));
                self.table.add_row(cells);
            }
            Form::Csv => self.csv(&cells),
            Form::Jsonl => self.text.push_str(&format!("{whole}\n")),
            Form::Json => {
                let between = if self.count == 1 { "[" } else { "," };
                self.text.push_str(&format!("{between}\n{whole}"));
            }
        }
    }

    fn csv(&mut self, cells: &[String]) {
        let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
        self.text.push_str(&(cells.join(",") + "\n"));
    }

    /// Prints them.
    pub fn end(mut self) -> Result<(), Failure> {
        match self.form {
            Form::Table if self.count == 0 => emit("nothing\n"),
            Form::Table => emit(format!("{}\n", self.table)),
            Form::Csv => emit_lines(&(self.names.join(",") + "\n" + &self.text)),
            Form::Jsonl => emit(quiet_json(&self.text)),
            Form::Json => {
                let start = if self.count == 0 { "[" } else { "" };
                self.text.push_str("\n]\n");
                emit(quiet_json(&format!("{start}{}", self.text)))
            }
        }
    }
}

/// A value of CSV (RFC 4180). One that a spreadsheet would compute is text.
fn quoted(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '@', '\t', '\r'])
        || (cell.starts_with('-') && cell.parse::<f64>().is_err());
    let cell = match is_formula {
        true => format!("'{cell}"),
        false => cell.to_owned(),
    };
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell,
    }
}
