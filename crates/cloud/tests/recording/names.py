import json
import sys

from botocore.session import Session

SESSION = Session()
CLIENT_NAMES = {"servicequotas": "service-quotas"}
OPERATIONS = {"ListAllMyBuckets": "ListBuckets", "GetBucketPublicAccessBlock": "GetPublicAccessBlock"}


def shapes(shape, seen):
    """Every structure in an answer."""
    if shape is None or id(shape) in seen:
        return
    seen[id(shape)] = shape
    if shape.type_name == "structure":
        for member in shape.members.values():
            shapes(member, seen)
    elif shape.type_name == "list":
        shapes(shape.member, seen)
    elif shape.type_name == "map":
        shapes(shape.value, seen)


def structures(permissions):
    seen = {}
    for permission in permissions:
        service, action = permission.split(":")
        model = SESSION.get_service_model(CLIENT_NAMES.get(service, service))
        shapes(model.operation_model(OPERATIONS.get(action, action)).output_shape, seen)
    return [shape for shape in seen.values() if shape.type_name == "structure"]


def fits(value, shape, path, unknown):
    """Compares a value with the shape it should have."""
    if isinstance(value, dict) and shape.type_name == "structure":
        for name, member in value.items():
            if name in shape.members:
                fits(member, shape.members[name], path + [name], unknown)
            else:
                unknown.add(".".join(path + [name]))
    elif isinstance(value, list) and shape.type_name == "list":
        for item in value:
            fits(item, shape.member, path, unknown)


def main():
    states = json.load(open(sys.argv[1], encoding="utf-8"))
    unknown = set()
    for entry in states:
        kinds = structures(entry["permissions"])
        # A state may be joined of several answers: each member is one of some structure's.
        for name, value in entry["state"].items():
            found = None
            for shape in kinds:
                if name in shape.members:
                    missing = set()
                    fits(value, shape.members[name], [name], missing)
                    found = missing if found is None or len(missing) < len(found) else found
            if found is None and entry["kind"] != "account-summary":
                found = {name}
            for path in found or ():
                unknown.add(f"{entry['kind']} {path}")
    print("compared", len(states))
    for line in sorted(unknown):
        print(line)


main()
