"""Validates trails with the AWS CLI's own validator, for a test that compares its verdicts with Davylamp's.

Reads one JSON document on standard input: `keys`, an answer of ListPublicKeys, and `trails`, each with its
`objects` (`bucket`, `key`, `body` in base64, `metadata`), `account`, `region`, `home_region`, `name`,
`prefix`, `organisation`, `start`, `end`, and `cases`: each what is `put` and `delete`d before the trail is
validated. Writes one JSON list: for each trail, for each case, the verdict (`valid` or why not) on each
URL. Buckets are moto's, in this process; what would ask CloudTrail for its keys is given ours.
"""

import base64
import json
import re
import sys

import boto3
from awscli.customizations.cloudtrail import validation
from moto import mock_aws

STATUS = re.compile(r"^(?:\(backfill\) )?(?:Digest|Log) file\t(s3://\S+)\t(.*)$")


class CloudTrail:
    def __init__(self, trail, keys):
        self.trail, self.keys = trail, keys

    def list_public_keys(self, StartTime, EndTime):
        return self.keys

    def describe_trails(self, **_):
        trail = self.trail
        found = {
            "TrailARN": arn(trail),
            "S3BucketName": trail["bucket"],
            "IsOrganizationTrail": trail["organisation"] is not None,
        }
        if trail["prefix"] is not None:
            found["S3KeyPrefix"] = trail["prefix"]
        return {"trailList": [found]}


class Organizations:
    def __init__(self, trail):
        self.trail = trail

    def describe_organization(self):
        return {"Organization": {"Id": self.trail["organisation"]}}


class Buckets:
    def __init__(self, client):
        self.client = client

    def get_client(self, _bucket):
        return self.client


class Validate(validation.CloudTrailValidateLogs):
    def __init__(self, trail, keys, client):
        super().__init__(None)
        self.trail_arn = arn(trail)
        self.start_time = validation.normalize_date(validation.parse_date(trail["start"]))
        self.end_time = validation.normalize_date(validation.parse_date(trail["end"]))
        self.account_id = trail["account"]
        self.s3_client_provider = Buckets(client)
        self.cloudtrail_client = CloudTrail(trail, keys)
        self.organization_client = Organizations(trail)
        self._source_region = trail["region"]
        self.told = {}

    def _write_status(self, message, is_error=False):
        told = STATUS.match(message)
        if told:
            self.told[told[1]] = told[2]

    def _write_startup_text(self):
        pass

    def _write_summary_text(self):
        pass


def arn(trail):
    return f"arn:aws:cloudtrail:{trail['home_region']}:{trail['account']}:trail/{trail['name']}"


def put(client, item):
    client.put_object(
        Bucket=item["bucket"],
        Key=item["key"],
        Body=base64.b64decode(item["body"]),
        Metadata=item["metadata"],
    )


def validate(trail, keys):
    client = boto3.client("s3", region_name="us-east-1")
    client.create_bucket(Bucket=trail["bucket"])
    base = {item["key"]: item for item in trail["objects"]}
    for item in base.values():
        put(client, item)
    answers = []
    for case in trail["cases"]:
        for item in case["put"]:
            put(client, item)
        for key in case["delete"]:
            client.delete_object(Bucket=trail["bucket"], Key=key)
        run = Validate(trail, keys, client)
        run._call()
        answers.append(run.told)
        for item in case["put"]:
            client.delete_object(Bucket=trail["bucket"], Key=item["key"])
        for key in {item["key"] for item in case["put"]} | set(case["delete"]):
            if key in base:
                put(client, base[key])
    return answers


def main():
    asked = json.load(sys.stdin)
    answers = []
    for trail in asked["trails"]:
        with mock_aws():
            answers.append(validate(trail, asked["keys"]))
    json.dump(answers, sys.stdout)


main()
