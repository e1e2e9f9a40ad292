//! Things other than machines that compute, or that start machines.

use serde_json::{Value, json};

use crate::attack::calendar::iso;
use crate::attack::dice::Dice;
use crate::attack::event::Call;
use crate::attack::ids;
use crate::attack::world::{Effect, Thing};

/// Where a thing is to be.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    /// The account.
    pub account: &'a str,
    /// The region.
    pub region: &'static str,
    /// When.
    pub at: i64,
}

impl At<'_> {
    fn put(&self, kind: &'static str, id: &str, state: Value) -> Effect {
        Effect::Put(Thing::new(self.account, self.region, kind, id), state)
    }

    fn arn(&self, service: &str, rest: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{rest}", self.region, self.account)
    }
}

/// A cluster of ECS, a task that takes all of a large slice, and a service with many of it.
pub fn fargate(at: &At<'_>, name: &str, count: u64) -> Vec<Call> {
    let cluster = at.arn("ecs", &format!("cluster/{name}"));
    let task = at.arn("ecs", &format!("task-definition/{name}:1"));
    let service = at.arn("ecs", &format!("service/{name}/{name}"));
    vec![
        Call::new("ecs", "CreateCluster", json!({"clusterName": name, "capacityProviders": ["FARGATE", "FARGATE_SPOT"]}))
            .answered(json!({"cluster": {"clusterArn": cluster, "clusterName": name, "status": "ACTIVE"}}))
            .changing(at.put("ecs-cluster", &cluster, json!({"clusterArn": cluster, "clusterName": name, "status": "ACTIVE"}))),
        Call::new("ecs", "RegisterTaskDefinition", json!({
            "family": name,
            "networkMode": "awsvpc",
            "requiresCompatibilities": ["FARGATE"],
            "cpu": "16384",
            "memory": "32768",
            "containerDefinitions": [{
                "name": name, "image": "docker.io/example/worker:latest", "cpu": 16384, "essential": true,
            }],
        }))
        .answered(json!({"taskDefinition": {"taskDefinitionArn": task, "family": name, "revision": 1, "status": "ACTIVE"}})),
        Call::new("ecs", "CreateService", json!({
            "cluster": name, "serviceName": name, "taskDefinition": format!("{name}:1"), "desiredCount": count,
            "launchType": "FARGATE",
        }))
        .answered(json!({"service": {"serviceArn": service, "serviceName": name, "clusterArn": cluster, "status": "ACTIVE", "desiredCount": count, "launchType": "FARGATE"}}))
        .changing(at.put("ecs-service", &service, json!({
            "serviceArn": service, "serviceName": name, "clusterArn": cluster, "status": "ACTIVE", "desiredCount": count,
            "runningCount": count, "launchType": "FARGATE", "taskDefinition": task, "createdAt": iso(at.at),
        }))),
    ]
}

/// A function with all the memory there is, and a door to it.
pub fn function(at: &At<'_>, name: &str, role: &str) -> Vec<Call> {
    let arn = at.arn("lambda", &format!("function:{name}"));
    vec![
        Call::new("lambda", "CreateFunction20150331", json!({
            "functionName": name, "runtime": "python3.11", "role": role, "handler": "main.handler", "code": {},
            "timeout": 900, "memorySize": 10240, "publish": false,
        }))
        .answered(json!({"functionName": name, "functionArn": arn, "runtime": "python3.11", "memorySize": 10240, "timeout": 900, "state": "Pending"}))
        .changing(at.put("lambda-function", name, json!({
            "FunctionName": name, "FunctionArn": arn, "Runtime": "python3.11", "Role": role, "MemorySize": 10240, "Timeout": 900,
            "LastModified": iso(at.at),
        }))),
        Call::new("lambda", "AddPermission20150331v2", json!({
            "functionName": name, "statementId": "FunctionURLAllowPublicAccess", "action": "lambda:InvokeFunctionUrl",
            "principal": "*", "functionUrlAuthType": "NONE",
        })),
        Call::new("lambda", "CreateFunctionUrlConfig", json!({"functionName": name, "authType": "NONE"}))
            .answered(json!({"functionArn": arn, "authType": "NONE", "creationTime": iso(at.at)})),
        Call::new("lambda", "PutProvisionedConcurrencyConfig", json!({
            "functionName": name, "qualifier": "1", "provisionedConcurrentExecutions": 100,
        })),
    ]
}

/// A notebook on a large machine.
pub fn notebook(at: &At<'_>, name: &str, role: &str) -> Vec<Call> {
    let arn = at.arn("sagemaker", &format!("notebook-instance/{name}"));
    vec![
        Call::new("sagemaker", "CreateNotebookInstanceLifecycleConfig", json!({
            "notebookInstanceLifecycleConfigName": name, "onStart": [{"content": "***"}],
        })),
        Call::new("sagemaker", "CreateNotebookInstance", json!({
            "notebookInstanceName": name, "instanceType": "ml.c5.18xlarge", "roleArn": role, "lifecycleConfigName": name,
        }))
        .answered(json!({"notebookInstanceArn": arn}))
        .changing(at.put("sagemaker-notebook", name, json!({
            "NotebookInstanceName": name, "NotebookInstanceArn": arn, "NotebookInstanceStatus": "InService",
            "InstanceType": "ml.c5.18xlarge", "CreationTime": iso(at.at),
        }))),
    ]
}

/// A cluster of Kubernetes with a group of large nodes.
pub fn nodegroup(at: &At<'_>, name: &str, role: &str, count: u64) -> Vec<Call> {
    let arn = at.arn("eks", &format!("cluster/{name}"));
    let group = at.arn("eks", &format!("nodegroup/{name}/workers/b8c8e0a1"));
    vec![
        Call::new("eks", "CreateCluster", json!({
            "name": name, "version": "1.29", "roleArn": role, "resourcesVpcConfig": {"endpointPublicAccess": true},
        }))
        .answered(json!({"cluster": {"name": name, "arn": arn, "status": "CREATING", "version": "1.29"}}))
        .changing(at.put("eks-cluster", name, json!({"name": name, "arn": arn, "status": "ACTIVE", "version": "1.29", "createdAt": iso(at.at)}))),
        Call::new("eks", "CreateNodegroup", json!({
            "name": name, "nodegroupName": "workers", "instanceTypes": ["c5.24xlarge"], "nodeRole": role,
            "scalingConfig": {"minSize": count, "maxSize": count, "desiredSize": count},
        }))
        .answered(json!({"nodegroup": {"nodegroupName": "workers", "nodegroupArn": group, "clusterName": name, "status": "CREATING"}}))
        .changing(at.put("eks-nodegroup", &format!("{name}/workers"), json!({
            "nodegroupName": "workers", "nodegroupArn": group, "clusterName": name, "status": "ACTIVE",
            "instanceTypes": ["c5.24xlarge"], "scalingConfig": {"desiredSize": count}, "createdAt": iso(at.at),
        }))),
    ]
}

/// A place for jobs of Batch, and many of one job.
pub fn batch(at: &At<'_>, name: &str, count: u64) -> Vec<Call> {
    vec![
        Call::new("batch", "CreateComputeEnvironment", json!({
            "computeEnvironmentName": name, "type": "MANAGED", "state": "ENABLED",
            "computeResources": {"type": "SPOT", "maxvCpus": 4096, "instanceTypes": ["optimal"]},
        }))
        .answered(json!({"computeEnvironmentName": name, "computeEnvironmentArn": at.arn("batch", &format!("compute-environment/{name}"))})),
        Call::new("batch", "CreateJobQueue", json!({"jobQueueName": name, "priority": 1})),
        Call::new("batch", "RegisterJobDefinition", json!({
            "jobDefinitionName": name, "type": "container",
            "containerProperties": {"image": "docker.io/example/worker:latest", "vcpus": 96},
        })),
        Call::new("batch", "SubmitJob", json!({
            "jobName": name, "jobQueue": name, "jobDefinition": name, "arrayProperties": {"size": count},
        })),
    ]
}

/// A fleet on the spot market; the second is its id.
pub fn spot_fleet(dice: &mut Dice, at: &At<'_>, kind: &str, count: u64) -> (Call, String) {
    let id = format!("sfr-{}", dice.uuid());
    let config = json!({
        "allocationStrategy": "lowestPrice", "targetCapacity": count, "terminateInstancesWithExpiration": true,
        "type": "maintain", "iamFleetRole": format!("arn:aws:iam::{}:role/aws-ec2-spot-fleet-tagging-role", at.account),
        "launchSpecifications": [{"instanceType": kind, "imageId": ids::resource(dice, "ami")}],
    });
    let call = Call::new(
        "ec2",
        "RequestSpotFleet",
        json!({"spotFleetRequestConfig": config}),
    )
    .answered(json!({"requestId": dice.uuid(), "spotFleetRequestId": id}))
    .changing(at.put(
        "spot-request",
        &id,
        json!({
            "SpotFleetRequestId": id, "SpotFleetRequestState": "active", "CreateTime": iso(at.at),
        }),
    ));
    (call, id)
}

/// A template for machines; the second is its id.
pub fn launch_template(dice: &mut Dice, at: &At<'_>, name: &str, kind: &str) -> (Call, String) {
    let id = ids::resource(dice, "lt");
    let call = Call::new("ec2", "CreateLaunchTemplate", json!({"CreateLaunchTemplateRequest": {
        "LaunchTemplateName": name,
        "LaunchTemplateData": {
            "InstanceType": kind, "ImageId": ids::resource(dice, "ami"), "UserData": "<sensitiveDataRemoved>",
            "InstanceMarketOptions": {"MarketType": "spot"},
        },
    }}))
    .answered(json!({"CreateLaunchTemplateResponse": {"launchTemplate": {
        "launchTemplateId": id, "launchTemplateName": name, "createTime": iso(at.at), "latestVersionNumber": 1,
    }}}))
    .changing(at.put("launch-template", &id, json!({
        "LaunchTemplateId": id, "LaunchTemplateName": name, "CreateTime": iso(at.at), "LatestVersionNumber": 1,
    })));
    (call, id)
}

/// A group that keeps so many machines of a template running.
pub fn scaling_group(at: &At<'_>, name: &str, template: &str, count: u64) -> Call {
    Call::new("autoscaling", "CreateAutoScalingGroup", json!({
        "autoScalingGroupName": name, "minSize": count, "maxSize": count, "desiredCapacity": count,
        "launchTemplate": {"launchTemplateId": template, "version": "$Latest"},
        "vPCZoneIdentifier": crate::attack::cast::subnet(at.account, at.region),
    }))
    .changing(at.put("scaling-group", name, json!({
        "AutoScalingGroupName": name, "MinSize": count, "MaxSize": count, "DesiredCapacity": count,
        "LaunchTemplate": {"LaunchTemplateId": template}, "CreatedTime": iso(at.at),
    })))
}

/// What starts machines or computes is deleted.
pub fn delete(at: &At<'_>, kind: &str, id: &str) -> Call {
    let (kind, service, action, request) = match kind {
        "ecs-service" => (
            "ecs-service",
            "ecs",
            "DeleteService",
            json!({"service": id, "force": true}),
        ),
        "lambda-function" => (
            "lambda-function",
            "lambda",
            "DeleteFunction20150331",
            json!({"functionName": id}),
        ),
        "sagemaker-notebook" => (
            "sagemaker-notebook",
            "sagemaker",
            "DeleteNotebookInstance",
            json!({"notebookInstanceName": id}),
        ),
        "eks-nodegroup" => {
            let (cluster, group) = id.split_once('/').unwrap_or((id, ""));
            (
                "eks-nodegroup",
                "eks",
                "DeleteNodegroup",
                json!({"name": cluster, "nodegroupName": group}),
            )
        }
        "spot-request" => (
            "spot-request",
            "ec2",
            "CancelSpotFleetRequests",
            json!({"CancelSpotFleetRequestsRequest": {
                "SpotFleetRequestId": {"content": id, "tag": 1}, "TerminateInstances": false,
            }}),
        ),
        "scaling-group" => (
            "scaling-group",
            "autoscaling",
            "DeleteAutoScalingGroup",
            json!({"autoScalingGroupName": id, "forceDelete": false}),
        ),
        _ => (
            "batch-job",
            "batch",
            "DeleteJobQueue",
            json!({"jobQueue": id}),
        ),
    };
    Call::new(service, action, request)
        .changing(Effect::Gone(Thing::new(at.account, at.region, kind, id)))
}
