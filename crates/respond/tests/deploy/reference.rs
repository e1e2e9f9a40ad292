//! The table of permissions against IAM's reference, as cfn-lint carries it: which calls there are,
//! on which kinds of resources each is authorized, and which condition keys these know.

use std::path::PathBuf;

use davylamp_respond::permissions::{
    Condition, Names, PERMISSIONS, Permission, Purpose, policy, recording,
};
use davylamp_testkit::moto::cache_dir;
use serde_json::{Map, Value};

/// An inline policy document of a role may have this many characters in all, without white space:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>.
pub const ROLE_POLICY_CHARS: usize = 10_240;

/// Services, each with its calls and kinds of resources.
pub struct Reference(Map<String, Value>);

impl Reference {
    pub fn load() -> Self {
        let lib = cache_dir().join("python/lib");
        let path: PathBuf = std::fs::read_dir(&lib)
            .unwrap_or_else(|error| panic!("{}: {error}: run `scripts/setup test`", lib.display()))
            .map(|entry| {
                entry
                    .unwrap()
                    .path()
                    .join("site-packages/cfnlint/data/AdditionalSpecs/Policies.json")
            })
            .find(|path| path.exists())
            .expect("cfn-lint is installed");
        let text = std::fs::read_to_string(path).unwrap();
        Self(serde_json::from_str(&text).unwrap())
    }

    fn action(&self, name: &str) -> Option<&Value> {
        let (service, action) = name.split_once(':')?;
        self.0.get(service)?["Actions"].get(action.to_lowercase())
    }

    /// Whether there is such a call.
    pub fn knows(&self, action: &str) -> bool {
        self.action(action).is_some()
    }

    /// The kinds of resources a call is authorized on: ARN format and condition keys of each.
    fn resources(&self, action: &str) -> Vec<(String, Vec<String>)> {
        let service = action.split(':').next().unwrap_or_default();
        let texts = |value: &Value| -> Vec<String> {
            value
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        };
        let named = match &self.action(action).expect(action)["Resources"] {
            Value::String(one) => vec![one.clone()],
            several => texts(several),
        };
        let known = self.0[service]["Resources"].as_object().expect("kinds");
        named
            .iter()
            .filter_map(|name| {
                known
                    .iter()
                    .find(|(known, _)| known.eq_ignore_ascii_case(name))
            })
            .flat_map(|(_, kind)| {
                let keys = texts(&kind["ConditionKeys"]);
                texts(&kind["ARNFormats"])
                    .into_iter()
                    .map(move |format| (format, keys.clone()))
            })
            .collect()
    }
}

/// Service and kind of a resource: `ec2` and `instance` of `arn:…:ec2:…:…:instance/…`.
fn kind(arn: &str) -> (String, String) {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let name = parts[5].split(['/', ':']).next().unwrap_or_default();
    // The kinds of SNS and SQS have no name before theirs.
    let is_named = parts[5].contains(['/', ':']);
    let name = if is_named { name } else { "" };
    (parts[2].to_owned(), name.to_lowercase())
}

fn needs_tags(condition: Condition) -> bool {
    matches!(
        condition,
        Condition::Unprotected | Condition::Ours | Condition::OurTagKeysOnOurs
    )
}

/// What is wrong with a permission.
fn faults(reference: &Reference, permission: &Permission) -> Vec<String> {
    let mut faults = Vec::new();
    for action in permission.actions {
        if !reference.knows(action) {
            faults.push(format!("{action}: there is no such call"));
            continue;
        }
        let known = reference.resources(action);
        for pattern in permission.resources {
            if *pattern == "*" {
                if permission.condition != Condition::None {
                    faults.push(format!("{action}: a condition on everything"));
                }
                continue;
            }
            let fitting: Vec<_> = known
                .iter()
                .filter(|(format, _)| kind(format) == kind(pattern))
                .collect();
            if fitting.is_empty() {
                faults.push(format!("{action} is not authorized on {pattern}"));
            }
            let has_tags =
                |keys: &Vec<String>| keys.iter().any(|key| key.starts_with("aws:ResourceTag/"));
            if needs_tags(permission.condition) && !fitting.iter().any(|(_, keys)| has_tags(keys)) {
                faults.push(format!("{action}: IAM is not told the tags of {pattern}"));
            }
        }
    }
    faults
}

#[test]
fn every_call_is_authorized_on_what_the_table_says() {
    let reference = Reference::load();
    let faults: Vec<String> = PERMISSIONS
        .iter()
        .flat_map(|permission| faults(&reference, permission))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

/// The recorder's permissions are of the reference too, and fit into a role's inline policy.
#[test]
fn every_call_of_the_recorder_is_one_and_none_changes_anything() {
    let reference = Reference::load();
    let policy = recording(Some("davylamp-recorder"));
    let actions = policy["Statement"][0]["Action"]
        .as_array()
        .expect("actions");
    assert!(actions.len() > 40);
    for action in actions.iter().filter_map(Value::as_str) {
        assert!(reference.knows(action), "{action}");
        let (_, name) = action.split_once(':').expect("a service");
        assert!(davylamp_cloud::aws::read::is_reading(name), "{action}");
    }
    assert!(policy.to_string().len() < ROLE_POLICY_CHARS);
}

/// The check above sees what it is for.
#[test]
fn a_wrong_row_is_seen() {
    let reference = Reference::load();
    let row = |actions, resources, condition| Permission {
        sid: "Wrong",
        purpose: Purpose::Read,
        actions,
        resources,
        condition,
    };
    for (wrong, said) in [
        (
            row(&["ec2:EndInstances"], &["*"], Condition::None),
            "no such call",
        ),
        (
            row(&["guardduty:ListDetectors"], &["*"], Condition::None),
            "",
        ),
        (
            row(
                &["guardduty:ListDetectors"],
                &["arn:{partition}:guardduty:*:{account}:detector/*"],
                Condition::None,
            ),
            "not authorized on",
        ),
        (
            row(
                &["ec2:StopInstances"],
                &["arn:{partition}:ec2:*:{account}:volume/*"],
                Condition::None,
            ),
            "not authorized on",
        ),
        (
            row(&["ec2:StopInstances"], &["*"], Condition::Unprotected),
            "a condition on everything",
        ),
    ] {
        let found = faults(&reference, &wrong).join("; ");
        assert_eq!(found.is_empty(), said.is_empty(), "{found}");
        assert!(found.contains(said), "{found}");
    }
}

/// Where a call changes something, everything is allowed only where IAM knows no kinds.
#[test]
fn everything_is_allowed_only_to_look_or_where_nothing_else_can_be_said() {
    let reference = Reference::load();
    for permission in PERMISSIONS.iter().filter(|one| one.resources == ["*"]) {
        for action in permission.actions {
            let (_, verb) = action.split_once(':').expect("a service");
            let looks = ["Describe", "Get", "List"]
                .iter()
                .any(|word| verb.starts_with(word));
            assert!(
                looks || reference.resources(action).is_empty(),
                "{action} could be limited"
            );
        }
    }
}

#[test]
fn the_whole_policy_fits_into_a_role() {
    let all: Vec<_> = Purpose::ALL.iter().map(|(purpose, _)| *purpose).collect();
    let text = policy(&all, &Names::default()).to_string();
    let length = text
        .chars()
        .filter(|letter| !letter.is_whitespace())
        .count();
    assert!(length <= ROLE_POLICY_CHARS, "{length}");
}

/// moto knows none of these, so they are read here.
#[test]
fn what_is_protected_or_evidence_is_out_of_reach() {
    let all: Vec<_> = Purpose::ALL.iter().map(|(purpose, _)| *purpose).collect();
    let document = policy(&all, &Names::default());
    let statements = document["Statement"].as_array().expect("statements");
    let ending: Vec<&Value> = statements
        .iter()
        .filter(|statement| {
            statement["Effect"] == "Allow" && statement.to_string().contains("TerminateInstances")
        })
        .collect();
    assert_eq!(ending.len(), 1);
    assert_eq!(
        ending[0]["Condition"]["Null"]["aws:ResourceTag/davylamp:protected"],
        "true"
    );
    // An empty list of keys passes `ForAllValues`, and means all tags.
    for statement in statements {
        if statement["Condition"]["ForAllValues:StringLike"].is_object() {
            assert_eq!(statement["Condition"]["Null"]["aws:TagKeys"], "false");
        }
    }
    for (sid, action) in [
        ("NeverDestroyEvidence", "ec2:DeleteSnapshot"),
        ("NeverDestroyEvidence", "ec2:DeleteVolume"),
        ("NeverTakeProtectionAway", "ec2:DeleteTags"),
    ] {
        assert!(
            statements.iter().any(|statement| statement["Sid"] == sid
                && statement["Effect"] == "Deny"
                && statement["Action"].to_string().contains(action)),
            "{sid}"
        );
    }
}
