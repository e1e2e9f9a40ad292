//! What each type means.

use davylamp_model::finding::Behaviour;
use davylamp_model::intake::types;

/// The types that the responder is for, as their documentation writes them.
#[test]
fn types_mean_what_they_say() {
    let mut wanted = Vec::new();
    for place in ["EC2", "Runtime", "Lambda"] {
        for end in ["", "!DNS"] {
            wanted.push((
                format!("CryptoCurrency:{place}/BitcoinTool.B{end}"),
                Behaviour::Mining,
            ));
        }
    }
    for place in ["EC2", "Runtime"] {
        wanted.push((
            format!("Impact:{place}/BitcoinDomainRequest.Reputation"),
            Behaviour::Mining,
        ));
    }
    wanted.push((
        "Impact:Runtime/CryptoMinerExecuted".into(),
        Behaviour::Mining,
    ));
    for place in ["EC2", "ECS", "Kubernetes", "Container"] {
        for what in ["Malicious", "Suspicious"] {
            wanted.push((
                format!("Execution:{place}/{what}File"),
                Behaviour::MaliciousFile,
            ));
        }
    }
    for end in ["Snapshot", "AMI", "RecoveryPoint"] {
        for what in ["Malicious", "Suspicious"] {
            wanted.push((
                format!("Execution:EC2/{what}File!{end}"),
                Behaviour::MaliciousFile,
            ));
        }
    }
    for purpose in [
        "CredentialAccess",
        "DefenseEvasion",
        "Discovery",
        "Exfiltration",
        "Impact",
        "InitialAccess",
        "Persistence",
        "PrivilegeEscalation",
    ] {
        wanted.push((
            format!("{purpose}:IAMUser/AnomalousBehavior"),
            Behaviour::StolenCredential,
        ));
    }
    let others = [
        (
            "Execution:Runtime/MaliciousFileExecuted",
            Behaviour::MaliciousFile,
        ),
        (
            "AttackSequence:EKS/CompromisedCluster",
            Behaviour::AttackSequence,
        ),
        (
            "AttackSequence:ECS/CompromisedCluster",
            Behaviour::AttackSequence,
        ),
        (
            "AttackSequence:EC2/CompromisedInstanceGroup",
            Behaviour::AttackSequence,
        ),
        (
            "AttackSequence:IAM/CompromisedCredentials",
            Behaviour::AttackSequence,
        ),
        (
            "AttackSequence:S3/CompromisedData",
            Behaviour::AttackSequence,
        ),
        ("Trojan:EC2/DNSDataExfiltration", Behaviour::Exfiltration),
        (
            "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.InsideAWS",
            Behaviour::StolenCredential,
        ),
        (
            "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",
            Behaviour::StolenCredential,
        ),
        (
            "UnauthorizedAccess:IAMUser/MaliciousIPCaller",
            Behaviour::StolenCredential,
        ),
        (
            "UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom",
            Behaviour::StolenCredential,
        ),
        (
            "UnauthorizedAccess:IAMUser/TorIPCaller",
            Behaviour::StolenCredential,
        ),
        (
            "UnauthorizedAccess:IAMUser/ConsoleLoginSuccess.B",
            Behaviour::StolenCredential,
        ),
        (
            "Stealth:IAMUser/CloudTrailLoggingDisabled",
            Behaviour::StolenCredential,
        ),
        ("Policy:IAMUser/RootCredentialUsage", Behaviour::RootUsed),
        ("Recon:EC2/Portscan", Behaviour::Other),
        ("CryptoCurrency:Quantum/BitcoinTool.Z", Behaviour::Unknown),
        ("CryptoCurrency:EC2/BitcoinTool.B!DNS ", Behaviour::Unknown),
        ("", Behaviour::Unknown),
    ];
    wanted.extend(others.map(|(kind, behaviour)| (kind.to_owned(), behaviour)));
    for (kind, behaviour) in wanted {
        assert_eq!(types::behaviour(&kind), behaviour, "{kind}");
    }
}

#[test]
fn no_type_is_listed_twice() {
    let mut all: Vec<&str> = types::TYPES
        .iter()
        .flat_map(|(_, names)| *names)
        .copied()
        .collect();
    let listed = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), listed);
}
