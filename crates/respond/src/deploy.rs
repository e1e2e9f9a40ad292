//! What installs the responder in an AWS account: a CloudFormation template.
//!
//! The template holds everything the Lambda needs and everything that notices when it fails: rules
//! with a retry policy and a dead-letter queue, reserved concurrency, a destination for failed
//! events, a journal, alarms on each of these and on silence. Its permissions are
//! [`permissions::policy`](crate::permissions::policy)'s.

use serde_json::{Map, Value, json};

use crate::permissions::{Names, Purpose, allowed, policy};

mod rules;

pub use rules::{FINDING_PREFIXES, FINDING_WILDCARDS, SECURITY_HUB_WILDCARDS};

use rules::rules;

/// The rules that are there only where a parameter asks for them, with its condition.
const OPT_IN: &[(&str, &str)] = &[("SecurityHubFindings", "HasSecurityHub")];

/// The purposes that are there only where a parameter asks for them: the policy's name, the
/// condition and the purpose. A placeholder without a value would make a resource that IAM refuses.
const OPTIONAL: &[(&str, &str, Purpose)] = &[
    ("mail", "HasSender", Purpose::Mail),
    ("cognito", "HasPool", Purpose::Cognito),
    ("memory", "HasMemoryDocument", Purpose::Memory),
    ("forensic", "HasForensicAccount", Purpose::Forensic),
    ("other-accounts", "HasRole", Purpose::Accounts),
];

/// The purposes of a Lambda: everything but reading a queue, and a journal that is no table.
pub fn lambda_purposes() -> Vec<Purpose> {
    Purpose::ALL
        .iter()
        .map(|(purpose, _)| *purpose)
        .filter(|purpose| !matches!(purpose, Purpose::Queue | Purpose::JournalTags))
        .collect()
}

/// The CloudFormation template, for some purposes.
pub fn cloudformation(purposes: &[Purpose]) -> Value {
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Davylamp responder: contains what cryptojacking findings are about, keeps the evidence, tells people",
        "Metadata": {"Source": "davy deploy aws", "Version": env!("CARGO_PKG_VERSION")},
        "Parameters": parameters(),
        "Conditions": {
            "HasMail": not_empty("NoticeEmail"),
            "HasSender": not_empty("MailSender"),
            "HasHub": not_empty("HubUrl"),
            "HasPortal": not_empty("PortalUrl"),
            "HasNamespaces": not_empty("HubNamespaces"),
            "HasRole": not_empty("ForeignRole"),
            "HasPool": not_empty("CognitoPool"),
            "HasMemoryDocument": not_empty("MemoryDocument"),
            "HasForensicAccount": not_empty("ForensicAccount"),
            "HasSecurityHub": {"Fn::Equals": [{"Ref": "SecurityHub"}, "true"]},
        },
        "Rules": {"UsersHaveNamespaces": {
            "RuleCondition": {"Fn::Or": [not_empty("HubUrl"), not_empty("PortalUrl")]},
            "Assertions": [{
                "Assert": not_empty("HubNamespaces"),
                "AssertDescription": "HubNamespaces names where the users of HubUrl and PortalUrl run, such as [\"jhub\"]: another Hub's users may have the same names",
            }],
        }},
        "Resources": resources(purposes),
        "Outputs": {
            "Function": {"Value": {"Fn::GetAtt": ["Function", "Arn"]}},
            "JournalTable": {"Value": {"Ref": "Journal"}},
            "DeadLetters": {"Value": {"Ref": "DeadLetters"}, "Description": "Events that were not answered: look here first when an alarm rings"},
            "CostTopic": {"Value": {"Ref": "CostTopic"}, "Description": "Let budgets and cost anomaly monitors publish here"},
            "HubToken": {"Condition": "HasHub", "Value": {"Ref": "HubToken"}, "Description": "Put the Hub's API token here"},
            "PortalKey": {"Condition": "HasPortal", "Value": {"Ref": "PortalKey"}, "Description": "Put the portal's signing key here"},
        },
    })
}

fn not_empty(parameter: &str) -> Value {
    json!({"Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, ""]}]})
}

fn parameters() -> Value {
    let text = |default: &str, description: &str| json!({"Type": "String", "Default": default, "Description": description});
    json!({
        "CodeBucket": {"Type": "String", "Description": "The bucket that holds the function's zip"},
        "CodeKey": {"Type": "String", "Default": "davy-lambda.zip", "Description": "Its key: the zip that `make lambda` writes, whose only file is `bootstrap`"},
        "Architecture": {"Type": "String", "Default": "arm64", "AllowedValues": ["arm64", "x86_64"], "Description": "What `bootstrap` was built for"},
        "ReservedConcurrency": {"Type": "Number", "Default": 5, "MinValue": 1, "Description": "How many events are answered at the same time; it also keeps others from using up the account's concurrency"},
        "DryRun": {"Type": "String", "Default": "true", "AllowedValues": ["true", "false"], "Description": "true: plans are made and told, nothing is done. Begin so, read a week of reports, then set it to false"},
        "NoticeEmail": text("", "Who is told, and alarmed"),
        "MailSender": text("", "Reports are mailed from here through SES, and this identity must be verified; empty: through SNS"),
        "HubUrl": text("", "The JupyterHub's address, up to and without /hub"),
        "PortalUrl": text("", "The portal's deauthorize endpoint"),
        "HubNamespaces": text("", "The Kubernetes namespace in which the Hub's users run; several as [\"one\", \"two\"]; any as *"),
        "ForeignRole": text("", "The name of the role to assume in other accounts"),
        "CognitoPool": text("", "The id of the Cognito pool of the Hub's users"),
        "MemoryDocument": text("", "The SSM document that captures the memory of an instance"),
        "ForensicAccount": text("", "The account that evidence is copied to, with the role of ForeignRole in it"),
        "ForensicKey": text("", "The ARN of the KMS key of that account that encrypts the copies"),
        "SecurityHub": {"Type": "String", "Default": "false", "AllowedValues": ["true", "false"], "Description": "true: findings that other products than GuardDuty send to Security Hub start the function as well. Those of GuardDuty always do, by themselves"},
        "LogRetentionDays": {"Type": "Number", "Default": 365, "Description": "How long the function's log is kept"},
    })
}

fn resources(purposes: &[Purpose]) -> Value {
    let mut all = Map::new();
    let mut add = |name: &str, value: Value| {
        all.insert(name.to_owned(), value);
    };
    add("Journal", journal());
    add(
        "DeadLetters",
        json!({
            "Type": "AWS::SQS::Queue",
            "Properties": {"MessageRetentionPeriod": 1_209_600, "SqsManagedSseEnabled": true},
        }),
    );
    add(
        "DeadLettersPolicy",
        json!({
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {
                "Queues": [{"Ref": "DeadLetters"}],
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [{
                        "Effect": "Allow",
                        "Principal": {"Service": ["events.amazonaws.com", "sns.amazonaws.com"]},
                        "Action": "sqs:SendMessage",
                        "Resource": {"Fn::GetAtt": ["DeadLetters", "Arn"]},
                        "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
                    }],
                },
            },
        }),
    );
    add("Notices", topic());
    add(
        "NoticesMail",
        json!({
            "Type": "AWS::SNS::Subscription",
            "Condition": "HasMail",
            "Properties": {"TopicArn": {"Ref": "Notices"}, "Protocol": "email", "Endpoint": {"Ref": "NoticeEmail"}},
        }),
    );
    for (name, condition) in [("HubToken", "HasHub"), ("PortalKey", "HasPortal")] {
        add(
            name,
            json!({
                "Type": "AWS::SecretsManager::Secret",
                "Condition": condition,
                "DeletionPolicy": "Retain",
                "UpdateReplacePolicy": "Retain",
                "Properties": {"Name": {"Fn::Sub": format!("davylamp/${{AWS::StackName}}/{name}")}},
            }),
        );
    }
    add("Role", role(purposes));
    add(
        "Log",
        json!({
            "Type": "AWS::Logs::LogGroup",
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": {
                "LogGroupName": {"Fn::Sub": "/aws/lambda/${AWS::StackName}-responder"},
                "RetentionInDays": {"Ref": "LogRetentionDays"},
            },
        }),
    );
    add("Function", function());
    add(
        "Failures",
        json!({
            "Type": "AWS::Lambda::EventInvokeConfig",
            "Properties": {
                "FunctionName": {"Ref": "Function"},
                "Qualifier": "$LATEST",
                "MaximumRetryAttempts": 2,
                "MaximumEventAgeInSeconds": 21_600,
                "DestinationConfig": {"OnFailure": {"Destination": {"Fn::GetAtt": ["DeadLetters", "Arn"]}}},
            },
        }),
    );
    for (name, description, properties) in rules() {
        let mut rule = rule(description, properties);
        let mut allowed = permission("events.amazonaws.com", json!({"Fn::GetAtt": [name, "Arn"]}));
        if let Some((_, condition)) = OPT_IN.iter().find(|(opted, _)| *opted == name) {
            rule["Condition"] = json!(condition);
            allowed["Condition"] = json!(condition);
        }
        add(name, rule);
        add(&format!("{name}Permission"), allowed);
    }
    add("CostTopic", topic());
    add(
        "CostTopicPolicy",
        json!({
            "Type": "AWS::SNS::TopicPolicy",
            "Properties": {
                "Topics": [{"Ref": "CostTopic"}],
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [{
                        "Effect": "Allow",
                        "Principal": {"Service": ["budgets.amazonaws.com", "costalerts.amazonaws.com", "cloudwatch.amazonaws.com"]},
                        "Action": "sns:Publish",
                        "Resource": {"Ref": "CostTopic"},
                        "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
                    }],
                },
            },
        }),
    );
    add(
        "CostSubscription",
        json!({
            "Type": "AWS::SNS::Subscription",
            "Properties": {
                "TopicArn": {"Ref": "CostTopic"},
                "Protocol": "lambda",
                "Endpoint": {"Fn::GetAtt": ["Function", "Arn"]},
                "RedrivePolicy": {"deadLetterTargetArn": {"Fn::GetAtt": ["DeadLetters", "Arn"]}},
            },
        }),
    );
    add(
        "CostPermission",
        permission("sns.amazonaws.com", json!({"Ref": "CostTopic"})),
    );
    for (name, alarm) in alarms() {
        add(name, alarm);
    }
    Value::Object(all)
}

fn topic() -> Value {
    json!({"Type": "AWS::SNS::Topic", "Properties": {}})
}

/// The journal's table, as `journal::dynamodb` uses it.
fn journal() -> Value {
    json!({
        "Type": "AWS::DynamoDB::Table",
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
            "KeySchema": [
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true},
            "SSESpecification": {"SSEEnabled": true},
        },
    })
}

fn role(purposes: &[Purpose]) -> Value {
    let names = Names {
        partition: "${AWS::Partition}".to_owned(),
        account: "${AWS::AccountId}".to_owned(),
        journal_table: "${Journal}".to_owned(),
        secrets: "davylamp/${AWS::StackName}/*".to_owned(),
        sns_topic: "${Notices.TopicName}".to_owned(),
        sender: "${MailSender}".to_owned(),
        role: "${ForeignRole}".to_owned(),
        cognito_pool: "${CognitoPool}".to_owned(),
        memory_document: "${MemoryDocument}".to_owned(),
        ..Names::default()
    };
    let always: Vec<_> = purposes
        .iter()
        .copied()
        .filter(|purpose| !OPTIONAL.iter().any(|(_, _, optional)| purpose == optional))
        .collect();
    let mut policies = vec![
        json!({"PolicyName": "respond", "PolicyDocument": substituted(policy(&always, &names))}),
        log_and_fail(),
    ];
    for (name, condition, purpose) in OPTIONAL {
        if purposes.contains(purpose) {
            let document = substituted(allowed(&[*purpose], &names));
            let one = json!({"PolicyName": name, "PolicyDocument": document});
            policies.push(json!({"Fn::If": [condition, one, {"Ref": "AWS::NoValue"}]}));
        }
    }
    json!({
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [{
                    "Effect": "Allow",
                    "Principal": {"Service": "lambda.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }],
            },
            "Policies": policies,
        },
    })
}

/// What the function itself needs, whatever it responds to.
fn log_and_fail() -> Value {
    json!({"PolicyName": "log-and-fail", "PolicyDocument": {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": {"Fn::Sub": "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:/aws/lambda/${AWS::StackName}-responder:*"},
            },
            {
                "Effect": "Allow",
                "Action": ["sqs:SendMessage"],
                "Resource": {"Fn::GetAtt": ["DeadLetters", "Arn"]},
            },
        ],
    }})
}

/// Every text with a `${…}` as a substitution.
fn substituted(value: Value) -> Value {
    match value {
        Value::String(text) if text.contains("${") => json!({"Fn::Sub": text}),
        Value::Array(items) => items.into_iter().map(substituted).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (name, substituted(value)))
            .collect(),
        other => other,
    }
}

fn function() -> Value {
    let only_if = |condition: &str, value: Value| json!({"Fn::If": [condition, value, {"Ref": "AWS::NoValue"}]});
    json!({
        "Type": "AWS::Lambda::Function",
        "DependsOn": ["Log"],
        "Properties": {
            "FunctionName": {"Fn::Sub": "${AWS::StackName}-responder"},
            "Runtime": "provided.al2023",
            "Handler": "bootstrap",
            "Architectures": [{"Ref": "Architecture"}],
            "Code": {"S3Bucket": {"Ref": "CodeBucket"}, "S3Key": {"Ref": "CodeKey"}},
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "MemorySize": 256,
            "Timeout": 900,
            "ReservedConcurrentExecutions": {"Ref": "ReservedConcurrency"},
            "Environment": {"Variables": {
                "DAVY_RESPOND__JOURNAL__STORE": "dynamodb",
                "DAVY_RESPOND__JOURNAL__TABLE": {"Ref": "Journal"},
                "DAVY_RESPOND__DRY_RUN": {"Ref": "DryRun"},
                "DAVY_RESPOND__NOTICES__SNS_TOPIC": {"Fn::If": ["HasSender", {"Ref": "AWS::NoValue"}, {"Ref": "Notices"}]},
                "DAVY_RESPOND__NOTICES__SES": only_if("HasSender", json!("true")),
                "DAVY_RESPOND__NOTICES__FROM": only_if("HasSender", json!({"Ref": "MailSender"})),
                "DAVY_RESPOND__NOTICES__TO": only_if("HasMail", json!({"Ref": "NoticeEmail"})),
                "DAVY_RESPOND__HUB__URL": only_if("HasHub", json!({"Ref": "HubUrl"})),
                "DAVY_RESPOND__HUB__TOKEN": only_if("HasHub", json!({"Fn::Sub": "secretsmanager:${HubToken}"})),
                "DAVY_RESPOND__PORTAL__URL": only_if("HasPortal", json!({"Ref": "PortalUrl"})),
                "DAVY_RESPOND__PORTAL__KEY": only_if("HasPortal", json!({"Fn::Sub": "secretsmanager:${PortalKey}"})),
                "DAVY_RESPOND__HUB__NAMESPACES": only_if("HasNamespaces", json!({"Ref": "HubNamespaces"})),
                "DAVY_RESPOND__ROLE": only_if("HasRole", json!({"Ref": "ForeignRole"})),
                "DAVY_RESPOND__COGNITO__POOL": only_if("HasPool", json!({"Ref": "CognitoPool"})),
                "DAVY_RESPOND__EVIDENCE__MEMORY_DOCUMENT": only_if("HasMemoryDocument", json!({"Ref": "MemoryDocument"})),
                "DAVY_RESPOND__EVIDENCE__FORENSIC_ACCOUNT": only_if("HasForensicAccount", json!({"Ref": "ForensicAccount"})),
                "DAVY_RESPOND__EVIDENCE__KMS_KEY": only_if("HasForensicAccount", json!({"Ref": "ForensicKey"})),
            }},
        },
    })
}

fn rule(description: &str, properties: Value) -> Value {
    let mut rule = json!({
        "Type": "AWS::Events::Rule",
        "Properties": {
            "Description": description,
            "State": "ENABLED",
            "Targets": [{
                "Id": "responder",
                "Arn": {"Fn::GetAtt": ["Function", "Arn"]},
                "DeadLetterConfig": {"Arn": {"Fn::GetAtt": ["DeadLetters", "Arn"]}},
                "RetryPolicy": {"MaximumRetryAttempts": 20, "MaximumEventAgeInSeconds": 21_600},
            }],
        },
    });
    if let Value::Object(members) = properties {
        for (name, value) in members {
            rule["Properties"][name] = value;
        }
    }
    rule
}

fn permission(principal: &str, source: Value) -> Value {
    json!({
        "Type": "AWS::Lambda::Permission",
        "Properties": {
            "Action": "lambda:InvokeFunction",
            "FunctionName": {"Ref": "Function"},
            "Principal": principal,
            "SourceArn": source,
        },
    })
}

fn alarms() -> Vec<(&'static str, Value)> {
    let function = json!([{"Name": "FunctionName", "Value": {"Ref": "Function"}}]);
    let alarm = |description: &str,
                 namespace: &str,
                 metric: &str,
                 dimensions: &Value,
                 missing: &str,
                 comparison: (&str, u32),
                 periods: u32| {
        json!({
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "AlarmDescription": description,
                "Namespace": namespace,
                "MetricName": metric,
                "Dimensions": dimensions,
                "Statistic": "Sum",
                "Period": 300,
                "EvaluationPeriods": periods,
                "ComparisonOperator": comparison.0,
                "Threshold": comparison.1,
                "TreatMissingData": missing,
                "AlarmActions": [{"Ref": "Notices"}],
            },
        })
    };
    let above = ("GreaterThanThreshold", 0);
    let queue =
        json!([{"Name": "QueueName", "Value": {"Fn::GetAtt": ["DeadLetters", "QueueName"]}}]);
    vec![
        (
            "UnansweredAlarm",
            alarm(
                "Davylamp: an event was not answered; look at the dead-letter queue",
                "AWS/SQS",
                "ApproximateNumberOfMessagesVisible",
                &queue,
                "notBreaching",
                above,
                1,
            ),
        ),
        (
            "ErrorAlarm",
            alarm(
                "Davylamp: the responder failed; look at its log",
                "AWS/Lambda",
                "Errors",
                &function,
                "notBreaching",
                above,
                1,
            ),
        ),
        (
            "ThrottleAlarm",
            alarm(
                "Davylamp: events wait for the responder; raise ReservedConcurrency",
                "AWS/Lambda",
                "Throttles",
                &function,
                "notBreaching",
                above,
                2,
            ),
        ),
        (
            "SilenceAlarm",
            alarm(
                "Davylamp: the responder has not run for 15 minutes, though it should every 5",
                "AWS/Lambda",
                "Invocations",
                &function,
                "breaching",
                ("LessThanThreshold", 1),
                3,
            ),
        ),
    ]
}
