//! Where the things of each action stand in its request and its answer, as CloudTrail writes them.

/// Where the things of an action stand: the kind, paths in the answer, paths in the request.
pub type Rule = (
    &'static [&'static str],
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

/// The actions of which it is known.
pub const RULES: &[Rule] = &[
    (
        &[
            "RunInstances",
            "StartInstances",
            "StopInstances",
            "TerminateInstances",
            "RebootInstances",
        ],
        "instance",
        &["instancesSet.items.instanceId"],
        &["instancesSet.items.instanceId"],
    ),
    (
        &["ModifyInstanceAttribute", "AssociateIamInstanceProfile"],
        "instance",
        &[],
        &[
            "instanceId",
            "AssociateIamInstanceProfileRequest.InstanceId",
        ],
    ),
    (
        &["RequestSpotInstances", "CancelSpotInstanceRequests"],
        "spot-request",
        &["spotInstanceRequestSet.items.spotInstanceRequestId"],
        &["spotInstanceRequestIdSet.items.spotInstanceRequestId"],
    ),
    (
        &[
            "RequestSpotFleet",
            "ModifySpotFleetRequest",
            "CancelSpotFleetRequests",
        ],
        "spot-fleet",
        &[
            "spotFleetRequestId",
            "RequestSpotFleetResponse.spotFleetRequestId",
        ],
        &["spotFleetRequestId"],
    ),
    (
        &["CreateFleet", "ModifyFleet", "DeleteFleets"],
        "fleet",
        &["fleetId", "CreateFleetResponse.fleetId"],
        &["fleetId", "ModifyFleetRequest.FleetId"],
    ),
    (
        &[
            "CreateLaunchTemplate",
            "CreateLaunchTemplateVersion",
            "DeleteLaunchTemplate",
        ],
        "launch-template",
        &[
            "CreateLaunchTemplateResponse.launchTemplate.launchTemplateId",
            "launchTemplate.launchTemplateId",
            "CreateLaunchTemplateVersionResponse.launchTemplateVersion.launchTemplateId",
        ],
        &[
            "CreateLaunchTemplateRequest.LaunchTemplateName",
            "launchTemplateId",
            "launchTemplateName",
        ],
    ),
    (
        &["CreateLaunchConfiguration", "DeleteLaunchConfiguration"],
        "launch-configuration",
        &[],
        &["launchConfigurationName"],
    ),
    (
        &[
            "CreateAutoScalingGroup",
            "UpdateAutoScalingGroup",
            "SetDesiredCapacity",
            "DeleteAutoScalingGroup",
        ],
        "scaling-group",
        &[],
        &["autoScalingGroupName"],
    ),
    (
        &["CreateSecurityGroup"],
        "security-group",
        &["groupId"],
        &["groupName"],
    ),
    (
        &[
            "AuthorizeSecurityGroupIngress",
            "AuthorizeSecurityGroupEgress",
            "RevokeSecurityGroupIngress",
            "DeleteSecurityGroup",
        ],
        "security-group",
        &[],
        &["groupId", "groupName"],
    ),
    (
        &["CreateKeyPair", "ImportKeyPair", "DeleteKeyPair"],
        "key-pair",
        &["keyName"],
        &["keyName"],
    ),
    (
        &[
            "CreateUser",
            "DeleteUser",
            "UpdateUser",
            "AttachUserPolicy",
            "PutUserPolicy",
            "DetachUserPolicy",
            "AddUserToGroup",
            "DeleteUserPolicy",
            "DeleteUserPermissionsBoundary",
        ],
        "user",
        &[],
        &["userName"],
    ),
    (
        &["CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey"],
        "access-key",
        &["accessKey.accessKeyId"],
        &["accessKeyId"],
    ),
    (
        &[
            "CreateLoginProfile",
            "UpdateLoginProfile",
            "DeleteLoginProfile",
            "ChangePassword",
        ],
        "login-profile",
        &[],
        &["userName"],
    ),
    (
        &[
            "CreateRole",
            "DeleteRole",
            "AttachRolePolicy",
            "PutRolePolicy",
            "UpdateAssumeRolePolicy",
            "DetachRolePolicy",
            "AddRoleToInstanceProfile",
        ],
        "role",
        &[],
        &["roleName"],
    ),
    (
        &[
            "AssumeRole",
            "AssumeRoleWithSAML",
            "AssumeRoleWithWebIdentity",
        ],
        "role",
        &[],
        &["roleArn"],
    ),
    (
        &[
            "CreatePolicy",
            "CreatePolicyVersion",
            "SetDefaultPolicyVersion",
        ],
        "policy",
        &["policy.arn"],
        &["policyArn"],
    ),
    (
        &[
            "EnableMFADevice",
            "DeactivateMFADevice",
            "DeleteVirtualMFADevice",
            "CreateVirtualMFADevice",
        ],
        "mfa-device",
        &["virtualMFADevice.serialNumber"],
        &["serialNumber", "virtualMFADeviceName"],
    ),
    (
        &[
            "StopLogging",
            "StartLogging",
            "DeleteTrail",
            "UpdateTrail",
            "CreateTrail",
            "PutEventSelectors",
            "PutInsightSelectors",
        ],
        "trail",
        &["trailARN"],
        &["name", "trailName"],
    ),
    (
        &[
            "DeleteDetector",
            "UpdateDetector",
            "CreateDetector",
            "CreateFilter",
            "CreateIPSet",
        ],
        "guardduty-detector",
        &["detectorId"],
        &["detectorId"],
    ),
    (
        &["DeleteFlowLogs", "CreateFlowLogs"],
        "flow-log",
        &[],
        &[
            "flowLogIds",
            "DeleteFlowLogsRequest.FlowLogId.content",
            "DeleteFlowLogsRequest.FlowLogId",
        ],
    ),
    (
        &[
            "StopConfigurationRecorder",
            "DeleteConfigurationRecorder",
            "StartConfigurationRecorder",
        ],
        "config-recorder",
        &[],
        &["configurationRecorderName"],
    ),
    (
        &[
            "DisassociateResolverQueryLogConfig",
            "DeleteResolverQueryLogConfig",
        ],
        "resolver-log",
        &[],
        &["resolverQueryLogConfigId"],
    ),
    (
        &["DeleteLogGroup", "PutRetentionPolicy", "DeleteLogStream"],
        "log-group",
        &[],
        &["logGroupName"],
    ),
    (
        &["RegisterTaskDefinition", "DeregisterTaskDefinition"],
        "ecs-task-definition",
        &["taskDefinition.taskDefinitionArn"],
        &["family", "taskDefinition"],
    ),
    (
        &["RunTask", "StartTask", "StopTask"],
        "ecs-task",
        &["tasks.taskArn", "task.taskArn"],
        &["task"],
    ),
    (
        &[
            "CreateNodegroup",
            "UpdateNodegroupConfig",
            "DeleteNodegroup",
        ],
        "eks-nodegroup",
        &["nodegroup.nodegroupArn"],
        &["nodegroupName", "name"],
    ),
    (
        &[
            "CreateFunction",
            "DeleteFunction",
            "UpdateFunctionCode",
            "AddPermission",
            "CreateFunctionUrlConfig",
        ],
        "lambda-function",
        &["functionArn"],
        &["functionName"],
    ),
    (
        &[
            "CreateNotebookInstance",
            "StartNotebookInstance",
            "StopNotebookInstance",
            "DeleteNotebookInstance",
        ],
        "sagemaker-notebook",
        &[],
        &["notebookInstanceName"],
    ),
    (
        &[
            "CreateTrainingJob",
            "CreateProcessingJob",
            "StopTrainingJob",
        ],
        "sagemaker-job",
        &[],
        &["trainingJobName", "processingJobName"],
    ),
    (
        &["CreateComputeEnvironment", "DeleteComputeEnvironment"],
        "batch-compute-environment",
        &["computeEnvironmentArn"],
        &["computeEnvironmentName", "computeEnvironment"],
    ),
    (
        &["SubmitJob", "RegisterJobDefinition", "CreateJobQueue"],
        "batch-job",
        &["jobId", "jobDefinitionArn", "jobQueueArn"],
        &["jobName", "jobDefinitionName", "jobQueueName"],
    ),
    (
        &[
            "ModifySnapshotAttribute",
            "DeleteSnapshot",
            "CreateSnapshot",
        ],
        "snapshot",
        &["snapshotId"],
        &["snapshotId"],
    ),
    (
        &["ModifyImageAttribute", "CreateImage", "DeregisterImage"],
        "image",
        &["imageId"],
        &["imageId"],
    ),
    (
        &["RequestServiceQuotaIncrease"],
        "quota",
        &[],
        &["quotaCode"],
    ),
];

/// The same for services that share an action's name.
pub const BY_SERVICE: &[(&str, Rule)] = &[
    (
        "ecs",
        (
            &["CreateCluster", "DeleteCluster"],
            "ecs-cluster",
            &["cluster.clusterArn"],
            &["clusterName", "cluster"],
        ),
    ),
    (
        "eks",
        (
            &["CreateCluster", "DeleteCluster"],
            "eks-cluster",
            &["cluster.arn"],
            &["name"],
        ),
    ),
    (
        "ecs",
        (
            &["CreateService", "UpdateService", "DeleteService"],
            "ecs-service",
            &["service.serviceArn"],
            &["serviceName", "service"],
        ),
    ),
];
