"""What `jsonschema` says of records beside the schema that ships with the package."""

import json
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator

SCHEMA: dict[str, Any] = json.loads(
    files("icl_theory.records").joinpath("records.schema.json").read_text(encoding="utf-8")
)


def problems(value: Any, definition: str | None = None) -> list[str]:
    """Every way in which `value` is not what the schema, or one of its definitions, demands."""
    schema = SCHEMA if definition is None else {"$ref": f"#/$defs/{definition}", "$defs": SCHEMA["$defs"]}
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(value)]
