"""Reads queries as Athena would, with the grammar of Trino, for a test of what Athena is given.

Reads one JSON list of texts on standard input. Writes one JSON list: of each text the functions that
Trino does not have, or `error`. A function is Trino's if the reader knows it by that name.
"""

import json
import sys

import sqlglot
from sqlglot import exp


def strange(text):
    statements = sqlglot.parse(text, read="athena", error_level=sqlglot.ErrorLevel.RAISE)
    names = set()
    for statement in statements:
        # What is not understood as a whole becomes one of these.
        if isinstance(statement, exp.Command):
            names.add("a command")
        names.update(call.name for call in statement.find_all(exp.Anonymous))
    return sorted(names)


def main():
    answers = []
    for text in json.load(sys.stdin):
        try:
            answers.append({"strange": strange(text)})
        except sqlglot.errors.SqlglotError as error:
            answers.append({"error": str(error)})
    json.dump(answers, sys.stdout)


main()
