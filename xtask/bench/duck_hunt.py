"""Answers a question of `cargo xtask bench-hunt` with DuckDB, over the same files.

Reads one JSON document on standard input: `task`, `files`, `threads`, `key`. Prints one line of JSON:
seconds, rows, hash of the answer, most memory in RAM.
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


def main():
    asked = json.load(sys.stdin)
    connection = duckdb.connect(":memory:", config={"threads": asked["threads"]})
    values = {"files": asked["files"]}
    if "$key" in SQL[asked["task"]]:
        values["key"] = asked["key"]
    started = time.perf_counter()
    rows = connection.execute(SQL[asked["task"]], values).fetchall()
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
