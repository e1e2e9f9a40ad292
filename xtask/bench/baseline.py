"""What the responder is measured against: a Lambda handler on boto3 as one would write it today.

It makes the calls that Davylamp makes for an instance that mines, in the same order, each finding
after the other: claim, inventory, then protect, keep the volumes, snapshot, cut the network, each
looked at before and after. It has no planner, no journal of its steps and no undo.
"""

import json
import os
import sys
import time
import urllib.request

import boto3
from botocore.exceptions import ClientError

ALLOW = "baseline-allow-all"
ISOLATION = "baseline-isolation"
CLIENTS = {}


def client(service, region):
    if (service, region) not in CLIENTS:
        CLIENTS[service, region] = boto3.client(service, region_name=region)
    return CLIENTS[service, region]


def claim(finding):
    """Whether nobody has answered this finding yet."""
    table = os.environ.get("BASELINE_TABLE")
    if not table:
        return True
    try:
        client("dynamodb", os.environ["AWS_REGION"]).put_item(
            TableName=table,
            Item={"pk": {"S": finding["id"]}, "sk": {"S": "claim"}},
            ConditionExpression="attribute_not_exists(pk)",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            return False
        raise
    return True


def describe(ec2, instance):
    found = ec2.describe_instances(InstanceIds=[instance])
    return found["Reservations"][0]["Instances"][0]


def volumes_of(ec2, instance):
    of_instance = {"Name": "attachment.instance-id", "Values": [instance]}
    return ec2.describe_volumes(Filters=[of_instance])["Volumes"]


def protect(ec2, instance):
    def protected():
        answer = ec2.describe_instance_attribute(
            InstanceId=instance, Attribute="disableApiTermination"
        )
        return answer["DisableApiTermination"]["Value"]

    describe(ec2, instance)
    if not protected():
        ec2.create_tags(Resources=[instance], Tags=[{"Key": "baseline", "Value": "protected"}])
        ec2.modify_instance_attribute(
            InstanceId=instance, DisableApiTermination={"Value": True}
        )
    describe(ec2, instance)
    if not protected():
        raise RuntimeError(f"{instance} is not protected")


def keep_volumes(ec2, instance):
    doomed = [
        one["DeviceName"]
        for one in describe(ec2, instance)["BlockDeviceMappings"]
        if one["Ebs"]["DeleteOnTermination"]
    ]
    if doomed:
        keep = [{"DeviceName": name, "Ebs": {"DeleteOnTermination": False}} for name in doomed]
        ec2.modify_instance_attribute(InstanceId=instance, BlockDeviceMappings=keep)
    describe(ec2, instance)


def snapshots_of(ec2, volume):
    of_volume = {"Name": "volume-id", "Values": [volume]}
    return ec2.describe_snapshots(OwnerIds=["self"], Filters=[of_volume])["Snapshots"]


def snapshot(ec2, finding, instance):
    volumes = [one["VolumeId"] for one in volumes_of(ec2, instance)]
    for volume in volumes:
        snapshots_of(ec2, volume)
    made = ec2.create_snapshots(
        InstanceSpecification={"InstanceId": instance},
        Description="evidence",
        TagSpecifications=[
            {"ResourceType": "snapshot", "Tags": [{"Key": "finding", "Value": finding["id"]}]}
        ],
    )
    for one in made["Snapshots"]:
        ec2.create_tags(
            Resources=[one["SnapshotId"]],
            Tags=[{"Key": "source-volume", "Value": one["VolumeId"]}],
        )
    return volumes


def await_snapshots(ec2, volumes):
    for volume in volumes:
        while not any(one["State"] == "completed" for one in snapshots_of(ec2, volume)):
            time.sleep(5)


def groups_of(ec2, vpc):
    found = ec2.describe_security_groups(
        Filters=[
            {"Name": "vpc-id", "Values": [vpc]},
            {"Name": "group-name", "Values": [ALLOW, ISOLATION]},
        ]
    )
    return {one["GroupName"]: one for one in found["SecurityGroups"]}


def rules_of(ec2, group):
    of_group = {"Name": "group-id", "Values": [group]}
    return ec2.describe_security_group_rules(Filters=[of_group])["SecurityGroupRules"]


def isolation_groups(ec2, vpc):
    there = groups_of(ec2, vpc)
    ids = {}
    for name in (ALLOW, ISOLATION):
        if name in there:
            ids[name] = there[name]["GroupId"]
        else:
            ids[name] = ec2.create_security_group(
                GroupName=name, Description="baseline", VpcId=vpc
            )["GroupId"]
    everything = [
        {
            "IpProtocol": "-1",
            "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
            "Ipv6Ranges": [{"CidrIpv6": "::/0"}],
        }
    ]
    if not any(not rule["IsEgress"] for rule in rules_of(ec2, ids[ALLOW])):
        ec2.authorize_security_group_ingress(GroupId=ids[ALLOW], IpPermissions=everything)
    for rule in rules_of(ec2, ids[ISOLATION]):
        revoke = (
            ec2.revoke_security_group_egress
            if rule["IsEgress"]
            else ec2.revoke_security_group_ingress
        )
        revoke(GroupId=ids[ISOLATION], SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]])
    return ids[ALLOW], ids[ISOLATION]


def cut(ec2, interface):
    def groups():
        found = ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])
        found = found["NetworkInterfaces"][0]
        return found["VpcId"], [group["GroupId"] for group in found["Groups"]]

    vpc, before = groups()
    groups_of(ec2, vpc)
    allow, isolation = isolation_groups(ec2, vpc)
    groups()
    ec2.create_tags(
        Resources=[interface],
        Tags=[{"Key": "groups-before", "Value": " ".join(before)}],
    )
    ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[allow])
    ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[isolation])
    _, now = groups()
    groups_of(ec2, vpc)
    if now != [isolation] or rules_of(ec2, isolation):
        raise RuntimeError(f"{interface} is not cut off")


def mail(finding, instance):
    sender = os.environ.get("BASELINE_MAIL")
    if sender:
        client("sesv2", os.environ["AWS_REGION"]).send_email(
            FromEmailAddress=sender,
            Destination={"ToAddresses": [sender]},
            Content={
                "Simple": {
                    "Subject": {"Data": f"{instance} mines"},
                    "Body": {"Text": {"Data": finding["id"]}},
                }
            },
        )


def respond(finding):
    if not claim(finding):
        return
    instance = finding["resource"]["instanceDetails"]["instanceId"]
    ec2 = client("ec2", finding["region"])
    interfaces = [
        one["NetworkInterfaceId"] for one in describe(ec2, instance)["NetworkInterfaces"]
    ]
    volumes_of(ec2, instance)
    protect(ec2, instance)
    keep_volumes(ec2, instance)
    volumes = snapshot(ec2, finding, instance)
    for interface in interfaces:
        cut(ec2, interface)
    await_snapshots(ec2, volumes)
    mail(finding, instance)


def handler(event):
    if "Records" in event:
        events = [json.loads(record["body"]) for record in event["Records"]]
    else:
        events = [event]
    for one in events:
        respond(one["detail"])
    return {"answered": len(events)}


def main():
    """The least runtime there can be: less than the one that Lambda runs a handler in."""
    api = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"
    while True:
        with urllib.request.urlopen(f"{api}/next") as given:
            event_id = given.headers["Lambda-Runtime-Aws-Request-Id"]
            event = json.load(given)
        try:
            path, body = "response", handler(event)
        except Exception as error:  # Lambda reports any.
            path, body = "error", {"errorMessage": repr(error), "errorType": type(error).__name__}
        request = urllib.request.Request(
            f"{api}/{event_id}/{path}", json.dumps(body).encode(), method="POST"
        )
        urllib.request.urlopen(request).close()


if __name__ == "__main__":
    sys.exit(main())
