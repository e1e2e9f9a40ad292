"""Reads a STIX 2.1 bundle as others do, and prints what is wrong with it as a JSON list.

stix2 parses each object strictly and makes the ids of observables anew; the rules of stix2-validator that
need no schema files, which its package does not bring, are run on each object.
"""

import json
import sys

import stix2
from stix2validator.util import ValidationOptions
from stix2validator.v21 import musts, shoulds

text = sys.stdin.read()
bundle = json.loads(text)
faults, advice = [], []

parsed = stix2.parse(text, allow_custom=False, version="2.1")
known = {item["id"] for item in bundle["objects"]}
if len(known) != len(bundle["objects"]):
    faults.append("two objects have one id")

MAKERS = {"ipv4-addr": stix2.IPv4Address, "ipv6-addr": stix2.IPv6Address, "user-account": stix2.UserAccount}


def referred(value, name=""):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from referred(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from referred(item, name)
    elif name.endswith(("_ref", "_refs")):
        yield value


def broken(rule, item):
    """What a rule says of an object; some want to know what was asked for as well."""
    try:
        said = rule(item)
    except TypeError:
        said = rule(item, options)
    return [said] if isinstance(said, Exception) else list(said or [])


options = ValidationOptions(version="2.1")
for item in bundle["objects"]:
    for reference in referred(item):
        if reference not in known:
            faults.append(f"{item['id']} refers to {reference}, which is not there")
    if item["type"] in MAKERS:
        telling = {k: v for k, v in item.items() if k in ("value", "account_type", "user_id", "account_login")}
        other = MAKERS[item["type"]](**telling)
        if other.id != item["id"]:
            faults.append(f"{item['id']} should be {other.id}")
    for rule in musts.list_musts(options):
        faults.extend(f"{rule.__name__}: {fault}" for fault in broken(rule, item))
    for rule in shoulds.list_shoulds(options):
        advice.extend(f"{rule.__name__}: {item['type']}" for _ in broken(rule, item))

kinds = sorted({item["type"] for item in bundle["objects"]})
json.dump({"faults": faults, "advice": sorted(set(advice)), "kinds": kinds}, sys.stdout)
