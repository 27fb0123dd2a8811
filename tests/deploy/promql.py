"""Reads queries as JSON, a list of texts, and prints for each what it selects: pairs of a metric and its labels.

It is run by the Python that has the packages of deploy/requirements.txt.
"""

import json
import sys

from promql_parser import VectorSelector, parse, walk


def selected(query):
    found = []

    def visit(expr):
        if isinstance(expr, VectorSelector):
            found.append([expr.name, sorted(matcher.name for matcher in expr.matchers.matchers)])
        return True

    walk(parse(query), visit)
    return found


json.dump([selected(query) for query in json.load(sys.stdin)], sys.stdout)
