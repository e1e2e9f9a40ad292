//! The table of permissions against the calls that the sources make, both ways.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use davylamp_respond::permissions::PERMISSIONS;

use crate::reference::Reference;

/// Permissions that no call of ours is named after, and what asks for them.
const ON_OUR_BEHALF: [(&str, &str); 7] = [
    ("kms:CreateGrant", "EC2, where a copy is encrypted"),
    ("kms:Decrypt", "EC2, where what is copied is encrypted"),
    ("kms:DescribeKey", "EC2, where a copy is encrypted"),
    (
        "kms:GenerateDataKeyWithoutPlaintext",
        "EC2, where a copy is encrypted",
    ),
    (
        "kms:ReEncryptFrom",
        "EC2, where what is copied is encrypted",
    ),
    ("kms:ReEncryptTo", "EC2, where a copy is encrypted"),
    ("sts:AssumeRole", "the SDK, before the first call elsewhere"),
];

/// What IAM asks for when this operation is called.
pub fn permissions_of(service: &str, operation: &str) -> Vec<String> {
    let names: &[&str] = match (service, operation) {
        // Anybody may ask who they are.
        ("sts", "GetCallerIdentity") => &[],
        ("s3", "GetPublicAccessBlock") => &["s3:GetAccountPublicAccessBlock"],
        ("s3", "PutPublicAccessBlock" | "DeletePublicAccessBlock") => {
            &["s3:PutAccountPublicAccessBlock"]
        }
        // Each write of a transaction is asked for by itself.
        ("dynamodb", "TransactWriteItems") => &["dynamodb:PutItem", "dynamodb:UpdateItem"],
        _ => return vec![format!("{service}:{operation}")],
    };
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn allowed() -> BTreeSet<String> {
    PERMISSIONS
        .iter()
        .flat_map(|one| one.actions)
        .map(|action| (*action).to_owned())
        .collect()
}

fn read_all(dir: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // The recorder's calls are compared with a table of its own, by the tests of `cloud`. Trails' public
        // keys are asked for by whoever investigates, and not by the responder.
        let apart = [
            "permissions",
            "deploy",
            "record",
            "recordings",
            "json",
            "trail_keys",
        ];
        if apart.contains(&name.trim_end_matches(".rs")) {
            continue;
        }
        if path.is_dir() {
            read_all(&path, found);
        } else if name.ends_with(".rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
}

/// The sources of everything that calls AWS, without their tests.
fn sources() -> Vec<(PathBuf, String)> {
    let crates = Path::new("..");
    let mut found = Vec::new();
    for name in ["cloud", "respond", "davy", "davy-lambda"] {
        read_all(&crates.join(name).join("src"), &mut found);
    }
    found.retain(|(path, _)| !path.ends_with("tests.rs"));
    assert!(found.len() > 60, "only {} files were found", found.len());
    found
}

fn camel(snake: &str) -> String {
    snake
        .split('_')
        .map(|word| {
            let mut letters = word.chars();
            letters
                .next()
                .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
                .unwrap_or_default()
        })
        .collect()
}

/// The methods without arguments that are called in a text: what each operation of the SDK begins
/// with.
fn methods(text: &str) -> BTreeSet<String> {
    let is_part =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("()") {
        let before = &text[..at];
        let start = before.rfind(|letter| !is_part(letter)).map_or(0, |at| {
            at + before[at..].chars().next().map_or(1, char::len_utf8)
        });
        if before[..start].ends_with('.') {
            found.insert(before[start..].to_owned());
        }
    }
    found
}

/// The `"service:Action"` literals of a text.
fn literals(text: &str) -> BTreeSet<String> {
    text.split('"')
        .filter(|part| {
            part.split_once(':').is_some_and(|(service, action)| {
                !service.is_empty()
                    && service.chars().all(|letter| {
                        letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-'
                    })
                    && action.starts_with(|letter: char| letter.is_ascii_uppercase())
                    && action.chars().all(|letter| letter.is_ascii_alphanumeric())
            })
        })
        .map(str::to_owned)
        .collect()
}

/// What is allowed is called.
#[test]
fn nothing_is_allowed_that_is_not_called() {
    let called: BTreeSet<String> = sources()
        .iter()
        .flat_map(|(_, text)| methods(text))
        .map(|name| camel(&name).to_lowercase())
        .collect();
    for permission in allowed() {
        if ON_OUR_BEHALF.iter().any(|(name, _)| *name == permission) {
            continue;
        }
        let (service, action) = permission.split_once(':').expect("a service");
        // The operations for an account's block are named as those for a bucket's.
        let operation = match service {
            "s3" => action.replace("Account", ""),
            _ => action.to_owned(),
        };
        assert!(
            called.contains(&operation.to_lowercase()),
            "{permission} is allowed and nothing calls it"
        );
    }
}

/// What is called is allowed.
#[test]
fn nothing_is_called_that_is_not_allowed() {
    let reference = Reference::load();
    let allowed = allowed();
    let services: BTreeSet<&str> = allowed
        .iter()
        .filter_map(|action| action.split_once(':'))
        .map(|(service, _)| service)
        .chain(["sts"])
        .collect();
    let may = |action: &str| allowed.iter().any(|one| one.eq_ignore_ascii_case(action));
    // Needs no permission: the reference lists it all the same.
    let free = ["sts:getcalleridentity"];
    let mut seen = 0;
    for (path, text) in sources() {
        for literal in literals(&text) {
            if reference.knows(&literal) && !free.contains(&literal.to_lowercase().as_str()) {
                seen += 1;
                assert!(may(&literal), "{}: {literal}", path.display());
            }
        }
        for method in methods(&text) {
            let name = camel(&method).to_lowercase();
            let actions: Vec<String> = services
                .iter()
                .map(|service| format!("{service}:{name}"))
                .filter(|action| reference.knows(action))
                .collect();
            let is_free = actions.iter().any(|action| free.contains(&action.as_str()));
            if actions.is_empty() || is_free {
                continue;
            }
            seen += 1;
            assert!(
                actions.iter().any(|action| may(action)),
                "{}: {method} is called, and none of {actions:?} is allowed",
                path.display()
            );
        }
    }
    assert!(seen > 100, "only {seen} calls were found");
}

#[test]
fn a_call_is_read_off_a_source() {
    let text =
        "let x = at.ec2()\n    .describe_instances()\n    .send();\nof(\"ec2:DescribeInstances\")";
    assert!(methods(text).contains("describe_instances"));
    assert_eq!(camel("describe_instances"), "DescribeInstances");
    assert_eq!(literals(text), ["ec2:DescribeInstances".to_owned()].into());
}
