"""Answers a question of `cargo xtask bench-hunt` with DuckDB, over the same files.

Reads one JSON document on standard input: `task`, `files`, `threads`, `key`, and `out`, a folder that a
conversion writes. Prints one line of JSON: seconds, rows, hash of the answer, most memory in RAM.
"""

import hashlib
import json
import sys
import time

import duckdb

EVENT = (
    "STRUCT(eventTime TIMESTAMP, eventSource VARCHAR, eventName VARCHAR, awsRegion VARCHAR, eventID VARCHAR, "
    "errorCode VARCHAR, userIdentity STRUCT(accessKeyId VARCHAR), requestParameters JSON, responseElements JSON)"
)
EVENTS = (
    "(SELECT UNNEST(Records, recursive := false) AS e FROM read_json($files, format = 'unstructured', "
    f"maximum_object_size = 67108864, columns = {{'Records': '{EVENT}[]'}}))"
)

VERSION_2 = {
    "version": "INTEGER", "account_id": "VARCHAR", "interface_id": "VARCHAR", "srcaddr": "VARCHAR",
    "dstaddr": "VARCHAR", "srcport": "BIGINT", "dstport": "BIGINT", "protocol": "BIGINT",
    "packets": "BIGINT", "bytes": "BIGINT", "start": "BIGINT", "end": "BIGINT", "action": "VARCHAR",
    "log_status": "VARCHAR",
}
CUSTOM = {
    "vpc_id": "VARCHAR", "subnet_id": "VARCHAR", "instance_id": "VARCHAR", "interface_id": "VARCHAR",
    "account_id": "VARCHAR", "type": "VARCHAR", "srcaddr": "VARCHAR", "dstaddr": "VARCHAR",
    "srcport": "BIGINT", "dstport": "BIGINT", "pkt_srcaddr": "VARCHAR", "pkt_dstaddr": "VARCHAR",
    "protocol": "BIGINT", "bytes": "BIGINT", "packets": "BIGINT", "start": "BIGINT", "end": "BIGINT",
    "action": "VARCHAR", "tcp_flags": "BIGINT", "log_status": "VARCHAR", "flow_direction": "VARCHAR",
    "traffic_path": "BIGINT", "pkt_dst_aws_service": "VARCHAR",
}


def flows(columns):
    return (
        "SELECT dstaddr, dstport, COUNT(*), SUM(bytes), SUM(packets) FROM read_csv($files, delim = ' ', "
        f"header = true, nullstr = '-', auto_detect = false, compression = 'gzip', columns = {columns}) "
        "WHERE action = 'ACCEPT' GROUP BY dstaddr, dstport"
    )


SQL = {
    "trail-sum": (
        "SELECT e.eventSource, e.eventName, e.awsRegion, COUNT(*), COUNT(e.errorCode), "
        "SUM(STRLEN(CAST(e.requestParameters AS VARCHAR))), SUM(STRLEN(CAST(e.responseElements AS VARCHAR))), "
        "CAST(EPOCH(MIN(e.eventTime)) AS BIGINT), CAST(EPOCH(MAX(e.eventTime)) AS BIGINT) "
        f"FROM {EVENTS} GROUP BY ALL"
    ),
    "needle-name": (
        "SELECT e.eventID, e.userIdentity.accessKeyId, e.awsRegion "
        f"FROM {EVENTS} WHERE e.eventName = 'StopLogging'"
    ),
    "needle-key": (
        "SELECT e.eventID, e.eventName, e.awsRegion "
        f"FROM {EVENTS} WHERE e.userIdentity.accessKeyId = $key"
    ),
    "flow-sum": flows(VERSION_2),
    "flow-custom": flows(CUSTOM),
}
# The whole event, which a conversion keeps: nested parts as JSON, as in our lake.
WHOLE = {
    "eventVersion": "VARCHAR", "userIdentity": "JSON", "eventTime": "TIMESTAMP", "eventSource": "VARCHAR",
    "eventName": "VARCHAR", "awsRegion": "VARCHAR", "sourceIPAddress": "VARCHAR", "userAgent": "VARCHAR",
    "errorCode": "VARCHAR", "errorMessage": "VARCHAR", "requestParameters": "JSON", "responseElements": "JSON",
    "additionalEventData": "JSON", "requestID": "VARCHAR", "eventID": "VARCHAR", "readOnly": "BOOLEAN",
    "resources": "JSON", "eventType": "VARCHAR", "managementEvent": "BOOLEAN", "recipientAccountId": "VARCHAR",
    "sharedEventID": "VARCHAR", "vpcEndpointId": "VARCHAR", "eventCategory": "VARCHAR", "tlsDetails": "JSON",
    "sessionCredentialFromConsole": "VARCHAR",
}
WHOLE_EVENTS = (
    "(SELECT UNNEST(Records, recursive := false) AS e FROM read_json($files, format = 'unstructured', "
    "maximum_object_size = 67108864, columns = {'Records': 'STRUCT("
    + ", ".join(f"{name} {kind}" for name, kind in WHOLE.items())
    + ")[]'}))"
)
CONVERT = {
    "convert-trail-sum": (
        "SELECT e.*, CAST(e.recipientAccountId AS VARCHAR) AS log_account, CAST(e.awsRegion AS VARCHAR) AS log_region, "
        f"CAST(e.eventTime AS DATE) AS log_date FROM {WHOLE_EVENTS} ORDER BY e.eventTime"
    ),
    "convert-flow-sum": (
        "SELECT *, account_id AS log_account, CAST(TO_TIMESTAMP(start) AS DATE) AS log_date "
        "FROM read_csv($files, delim = ' ', header = true, nullstr = '-', auto_detect = false, "
        f"compression = 'gzip', columns = {VERSION_2}) ORDER BY start"
    ),
}
LAKE = {
    "lake-trail-sum": (
        "SELECT event_source, event_name, aws_region, COUNT(*), COUNT(error_code), "
        "SUM(STRLEN(request_parameters)), SUM(STRLEN(response_elements)), MIN(event_epoch), MAX(event_epoch) "
        "FROM read_parquet($files, hive_partitioning = true) GROUP BY ALL"
    ),
    "lake-needle-key": (
        "SELECT event_id, event_name, aws_region FROM read_parquet($files, hive_partitioning = true) "
        "WHERE access_key_id = $key"
    ),
    "lake-flow-sum": (
        "SELECT dstaddr, dstport, COUNT(*), SUM(bytes), SUM(packets) "
        "FROM read_parquet($files, hive_partitioning = true) WHERE action = 'ACCEPT' GROUP BY dstaddr, dstport"
    ),
}


def question(asked):
    """The SQL of a task, which a conversion writes to files."""
    task = asked["task"]
    if task not in CONVERT:
        return SQL.get(task) or LAKE[task]
    folders = "log_account, log_region, log_date" if "trail" in task else "log_account, log_date"
    return (
        f"COPY ({CONVERT[task]}) TO '{asked['out']}' (FORMAT parquet, COMPRESSION zstd, "
        f"PARTITION_BY ({folders}), WRITE_PARTITION_COLUMNS true)"
    )


def main():
    asked = json.load(sys.stdin)
    connection = duckdb.connect(":memory:", config={"threads": asked["threads"]})
    values = {"files": asked["files"]}
    sql = question(asked)
    if "$key" in sql:
        values["key"] = asked["key"]
    started = time.perf_counter()
    rows = connection.execute(sql, values).fetchall()
    seconds = time.perf_counter() - started
    lines = sorted("|".join("" if cell is None else str(cell) for cell in row) for row in rows)
    text = "\n".join(lines)
    if asked.get("show"):
        print(text)
    with open("/proc/self/status", encoding="utf-8") as status:
        peak_kib = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    print(json.dumps({"seconds": seconds, "rows": len(lines), "hash": digest, "peak_kib": peak_kib}))


main()
