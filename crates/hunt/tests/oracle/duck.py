"""Answers queries with DuckDB, for a test that compares the answers with Davylamp's own.

Reads one JSON document on standard input: a list of cases, each with its query (`sql`) and its tables
(`name`, `columns` as a list of [name, type], and `lake`, a pattern of Parquet files, or null where
there is none). A case without tables may write files. Writes one JSON list: of each case `rows`, or
`error`.
"""

import datetime
import json
import sys

import duckdb


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def plain(value):
    if isinstance(value, datetime.datetime):
        return value.isoformat() + "Z"
    return value


def answer(case):
    # A case must not see another's tables.
    connection = duckdb.connect(":memory:", config={"threads": 1})
    for table in case["tables"]:
        columns = ", ".join(f"{quoted(name)} {kind}" for name, kind in table["columns"])
        connection.execute(f"CREATE TABLE {quoted(table['name'])} ({columns})")
        if table["lake"] is not None:
            names = ", ".join(quoted(name) for name, _ in table["columns"])
            connection.execute(
                f"INSERT INTO {quoted(table['name'])} SELECT {names} FROM read_parquet(?, "
                f"hive_partitioning = true)",
                [table["lake"]],
            )
    result = connection.execute(case["sql"])
    if result.description is None:
        return []
    names = [column[0] for column in result.description]
    return [dict(zip(names, map(plain, row))) for row in result.fetchall()]


def main():
    answers = []
    for case in json.load(sys.stdin):
        try:
            answers.append({"rows": answer(case)})
        except duckdb.Error as error:
            answers.append({"error": str(error)})
    json.dump(answers, sys.stdout, default=str)


main()
