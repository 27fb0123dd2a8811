"""`python -m deploy.checks.schemas FILE...`: checks manifests strictly by the schemas of Kubernetes and of CRDs.

Unlike the other checks it needs the packages of deploy/requirements.txt.
"""

import argparse
import copy
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cel
import jsonschema
import kubernetes_validate
import yaml

Schema = Mapping[str, Any]
Kind = tuple[str, str]
"""`apiVersion` and `kind`."""

_OPEN = "x-kubernetes-preserve-unknown-fields"
_RULES = "x-kubernetes-validations"


def read_definitions(folder: Path) -> dict[Kind, Schema]:
    """Reads the CRDs of a folder.

    Args:
        folder: Files of YAML or JSON.

    Returns:
        The schema of each version that is served.
    """
    schemas: dict[Kind, Schema] = {}
    for file in sorted(folder.iterdir()):
        for thing in yaml.load_all(file.read_text(), yaml.CSafeLoader):
            if (thing or {}).get("kind") != "CustomResourceDefinition":
                continue
            spec = thing["spec"]
            for version in spec["versions"]:
                if version["served"]:
                    kind = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
                    schemas[kind] = version["schema"]["openAPIV3Schema"]
    return schemas


def custom_problems(thing: Mapping[str, Any], schema: Schema) -> Iterator[str]:
    """What the API server would refuse in a custom resource, unknown fields too.

    Args:
        thing: The resource.
        schema: Its kind's.
    """
    whole = copy.deepcopy(dict(thing))
    _fill(whole, schema)
    for error in jsonschema.Draft4Validator(_closed(schema, root=True)).iter_errors(whole):
        yield f"{error.json_path}: {error.message:.300}"
    yield from _broken_rules(whole, schema, "$")


def _fill(value: Any, schema: Schema) -> None:
    """Puts in the defaults, as the API server does before it looks at rules."""
    if isinstance(value, dict):
        for name, inner in schema.get("properties", {}).items():
            if name not in value and "default" in inner:
                value[name] = copy.deepcopy(inner["default"])
            if name in value:
                _fill(value[name], inner)
        if isinstance(extra := schema.get("additionalProperties"), dict):
            for item in value.values():
                _fill(item, extra)
    elif isinstance(value, list):
        for item in value:
            _fill(item, schema.get("items", {}))


def _closed(schema: Any, *, root: bool = False) -> Any:
    """The schema with no room for fields that it does not name."""
    if not isinstance(schema, dict):
        return schema
    closed = {name: value for name, value in schema.items() if name != "default"}
    if "properties" in closed:
        closed["properties"] = {name: _closed(inner) for name, inner in closed["properties"].items()}
        if root:
            # What every object has; its content is the API server's matter.
            closed["properties"] |= {"apiVersion": {}, "kind": {}, "metadata": {}}
        if not closed.get(_OPEN):
            closed.setdefault("additionalProperties", False)
    for name in ("items", "additionalProperties"):
        closed[name] = _closed(closed[name]) if name in closed else None
        if closed[name] is None:
            del closed[name]
    if closed.get("x-kubernetes-int-or-string"):
        closed.pop("type", None)
    if closed.get("nullable") and "type" in closed:
        closed["type"] = [closed["type"], "null"]
    return closed


def _broken_rules(value: Any, schema: Schema, path: str) -> Iterator[str]:
    for rule in schema.get(_RULES, ()):
        # Rules about what was there before say nothing of what is made anew.
        if "oldSelf" not in rule["rule"] and cel.evaluate(rule["rule"], {"self": value}) is not True:
            yield f"{path}: {rule.get('message', rule['rule'])}"
    if isinstance(value, dict):
        properties, extra = schema.get("properties", {}), schema.get("additionalProperties")
        for name, inner in value.items():
            below = properties.get(name, extra)
            if isinstance(below, dict):
                yield from _broken_rules(inner, below, f"{path}.{name}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _broken_rules(inner, schema.get("items", {}), f"{path}[{number}]")


def _problems(thing: Mapping[str, Any], versions: list[str], custom: Mapping[Kind, Schema]) -> Iterator[str]:
    kind = (thing["apiVersion"], thing["kind"])
    if kind in custom:
        yield from custom_problems(thing, custom[kind])
        return
    for version in versions:
        try:
            kubernetes_validate.validate(thing, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            place = ".".join(map(str, error.path))
            yield f"Kubernetes {version}: {place}: {error.message:.300}"
        except kubernetes_validate.SchemaNotFoundError:
            yield f"Kubernetes {version} has no {kind[0]} {kind[1]}, and no CRD is given"


def main() -> int:
    """Prints a line for each problem; 1 where there is one."""
    parser = argparse.ArgumentParser(prog="python -m deploy.checks.schemas")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--kubernetes", action="append", required=True, help="version, such as 1.37; may be repeated")
    parser.add_argument("--crds", type=Path, help="folder of CRDs")
    parser.add_argument("--pass-over", action="append", default=[], help="API group that has no CRD here")
    arguments = parser.parse_args()
    custom = read_definitions(arguments.crds) if arguments.crds else {}
    # Combinations of components have most objects in common.
    known: dict[str, list[str]] = {}
    for file in arguments.files:
        for thing in filter(None, yaml.load_all(file.read_text(), yaml.CSafeLoader)):
            if thing["apiVersion"].partition("/")[0] in arguments.pass_over:
                continue
            content = json.dumps(thing)
            if content not in known:
                known[content] = list(_problems(thing, arguments.kubernetes, custom))
            for problem in known[content]:
                sys.stdout.write(f"{file}: {thing['kind']}/{thing['metadata']['name']}: {problem}\n")
    return 1 if any(known.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
