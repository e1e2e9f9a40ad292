//! Which technique of MITRE ATT&CK an act is.
//!
//! Ids and names: ATT&CK for Enterprise, matrix IaaS, version 17 (<https://attack.mitre.org/matrices/enterprise/cloud/iaas/>).
//! An action that is not listed is of no technique, unless its phase alone says which.

use crate::case::Act;

/// A technique.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Technique {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    /// The phase that is always this.
    phase: Option<&'static str>,
    /// Actions of AWS's APIs that are this.
    actions: &'static [&'static str],
}

impl Technique {
    const fn new(
        id: &'static str,
        name: &'static str,
        phase: Option<&'static str>,
        actions: &'static [&'static str],
    ) -> Self {
        Self {
            id,
            name,
            phase,
            actions,
        }
    }

    /// Its page.
    pub(super) fn url(&self) -> String {
        format!(
            "https://attack.mitre.org/techniques/{}",
            self.id.replace('.', "/")
        )
    }
}

static TECHNIQUES: [Technique; 20] = [
    Technique::new(
        "T1021.007",
        "Remote Services: Cloud Services",
        None,
        &["SwitchRole", "GetSigninToken"],
    ),
    Technique::new(
        "T1069.003",
        "Permission Groups Discovery: Cloud Groups",
        None,
        &[
            "GetPolicy",
            "GetPolicyVersion",
            "ListAttachedRolePolicies",
            "ListAttachedUserPolicies",
            "ListGroups",
            "ListGroupsForUser",
            "ListPolicies",
            "ListUserPolicies",
            "SimulatePrincipalPolicy",
        ],
    ),
    Technique::new(
        "T1078.004",
        "Valid Accounts: Cloud Accounts",
        Some("access"),
        &["ConsoleLogin"],
    ),
    Technique::new(
        "T1087.004",
        "Account Discovery: Cloud Account",
        None,
        &[
            "GetAccountAuthorizationDetails",
            "GetAccountSummary",
            "GetCallerIdentity",
            "GetUser",
            "ListAccessKeys",
            "ListRoles",
            "ListUsers",
        ],
    ),
    Technique::new(
        "T1098.001",
        "Account Manipulation: Additional Cloud Credentials",
        None,
        &[
            "CreateAccessKey",
            "CreateKeyPair",
            "CreateLoginProfile",
            "CreateServiceSpecificCredential",
            "ImportKeyPair",
            "UpdateAccessKey",
            "UpdateLoginProfile",
        ],
    ),
    Technique::new(
        "T1098.003",
        "Account Manipulation: Additional Cloud Roles",
        None,
        &[
            "AddUserToGroup",
            "AttachGroupPolicy",
            "AttachRolePolicy",
            "AttachUserPolicy",
            "CreatePolicyVersion",
            "PutGroupPolicy",
            "PutRolePolicy",
            "PutUserPolicy",
            "SetDefaultPolicyVersion",
            "UpdateAssumeRolePolicy",
        ],
    ),
    Technique::new(
        "T1136.003",
        "Create Account: Cloud Account",
        None,
        &["CreateRole", "CreateUser"],
    ),
    Technique::new(
        "T1496.001",
        "Resource Hijacking: Compute Hijacking",
        Some("impact"),
        &[],
    ),
    Technique::new(
        "T1526",
        "Cloud Service Discovery",
        None,
        &[
            "DescribeTrails",
            "GetSendQuota",
            "GetServiceQuota",
            "ListClusters",
            "ListDetectors",
            "ListFunctions",
            "ListServiceQuotas",
            "ListServices",
            "ListTopics",
        ],
    ),
    Technique::new(
        "T1531",
        "Account Access Removal",
        None,
        &["DeactivateMFADevice", "DeleteLoginProfile", "DeleteUser"],
    ),
    Technique::new(
        "T1535",
        "Unused/Unsupported Cloud Regions",
        None,
        &["EnableRegion"],
    ),
    Technique::new(
        "T1550.001",
        "Use Alternate Authentication Material: Application Access Token",
        None,
        &[
            "AssumeRole",
            "AssumeRoleWithSAML",
            "AssumeRoleWithWebIdentity",
            "GetFederationToken",
            "GetSessionToken",
        ],
    ),
    Technique::new(
        "T1562.001",
        "Impair Defenses: Disable or Modify Tools",
        None,
        &[
            "CreateFilter",
            "DeleteDetector",
            "DisableSecurityHub",
            "DisassociateFromMasterAccount",
            "UpdateDetector",
        ],
    ),
    Technique::new(
        "T1562.007",
        "Impair Defenses: Disable or Modify Cloud Firewall",
        None,
        &["AuthorizeSecurityGroupIngress", "ModifySecurityGroupRules"],
    ),
    Technique::new(
        "T1562.008",
        "Impair Defenses: Disable or Modify Cloud Logs",
        None,
        &[
            "DeleteConfigurationRecorder",
            "DeleteFlowLogs",
            "DeleteResolverQueryLogConfig",
            "DeleteTrail",
            "DisassociateResolverQueryLogConfig",
            "PutEventSelectors",
            "StopConfigurationRecorder",
            "StopLogging",
            "UpdateTrail",
        ],
    ),
    Technique::new(
        "T1578.002",
        "Modify Cloud Compute Infrastructure: Create Cloud Instance",
        Some("launch"),
        &[
            "CreateAutoScalingGroup",
            "CreateFleet",
            "CreateLaunchTemplate",
            "CreateNotebookInstance",
            "RequestSpotFleet",
            "RequestSpotInstances",
            "RunInstances",
            "StartInstances",
        ],
    ),
    Technique::new(
        "T1578.005",
        "Modify Cloud Compute Infrastructure: Modify Cloud Compute Configurations",
        None,
        &["ModifyInstanceAttribute", "RequestServiceQuotaIncrease"],
    ),
    Technique::new(
        "T1580",
        "Cloud Infrastructure Discovery",
        Some("recon"),
        &[
            "DescribeImages",
            "DescribeInstances",
            "DescribeInstanceTypes",
            "DescribeKeyPairs",
            "DescribeRegions",
            "DescribeSecurityGroups",
            "DescribeSpotPriceHistory",
            "DescribeSubnets",
            "DescribeVpcs",
            "ListBuckets",
        ],
    ),
    Technique::new(
        "T1610",
        "Deploy Container",
        None,
        &[
            "CreateCluster",
            "CreateNodegroup",
            "CreateService",
            "RegisterTaskDefinition",
            "RunTask",
        ],
    ),
    Technique::new(
        "T1648",
        "Serverless Execution",
        None,
        &[
            "CreateFunction",
            "CreateFunction20150331",
            "UpdateFunctionCode",
            "UpdateFunctionCode20150331v2",
        ],
    ),
];

/// The technique that an act is: of its action's last word, else of its phase.
pub(super) fn of(act: &Act) -> Option<&'static Technique> {
    let words = act.action.rsplit(|c: char| !c.is_ascii_alphanumeric());
    let action = words.into_iter().next().unwrap_or_default();
    let by_action = TECHNIQUES.iter().find(|one| one.actions.contains(&action));
    by_action.or_else(|| {
        TECHNIQUES
            .iter()
            .find(|one| one.phase == Some(act.phase.as_str()))
    })
}
