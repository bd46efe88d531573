"""Everything that is wrong with an object, gathered as it is found, in Kubernetes's words.

Paths are strings: `spec.containers[0].name`. Source: k8s.io/apimachinery, "validation/field": the forms of messages.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from timonier.api.errors import Cause
from timonier.api.names import Check

Obj = dict[str, Any]
NON_NEGATIVE = "must be greater than or equal to 0"
POSITIVE = "must be greater than 0"
IMMUTABLE = "field is immutable"


class Causes(list[Cause]):
    """A list of causes with a method for each way of being wrong."""

    def required(self, path: str, detail: str = "") -> None:
        self.say("FieldValueRequired", path, "Required value", detail)

    def invalid(self, path: str, value: Any, detail: str) -> None:
        self.say("FieldValueInvalid", path, f"Invalid value: {shown(value)}", detail)

    def unsupported(self, path: str, value: Any, supported: Iterable[str]) -> None:
        self.say("FieldValueNotSupported", path, f"Unsupported value: {shown(value)}",
                 "supported values: " + ", ".join(f'"{each}"' for each in supported))

    def duplicate(self, path: str, value: Any, detail: str = "") -> None:
        self.say("FieldValueDuplicate", path, f"Duplicate value: {shown(value)}", detail)

    def forbidden(self, path: str, detail: str) -> None:
        self.say("FieldValueForbidden", path, "Forbidden", detail)

    def not_found(self, path: str, value: Any, detail: str = "") -> None:
        self.say("FieldValueNotFound", path, f"Not found: {shown(value)}", detail)

    def too_long(self, path: str, longest: int) -> None:
        self.say("FieldValueTooLong", path, "Too long", f"may not be more than {longest} bytes")

    def too_many(self, path: str, actual: int, most: int) -> None:
        self.say("FieldValueTooMany", path, f"Too many: {actual}",
                 f"must have at most {most} item{'' if most == 1 else 's'}")

    def say(self, reason: str, path: str, what: str, detail: str) -> None:
        self.append(Cause(reason, path, f"{what}: {detail}" if detail else what))

    def each_invalid(self, path: str, value: Any, details: Iterable[str]) -> None:
        """One cause for each thing that `api.names` says is wrong with a value."""
        for detail in details:
            self.invalid(path, value, detail)

    def non_negative(self, obj: Mapping[str, Any], path: str, *fields: str) -> None:
        """Fields that may be absent, but not below zero."""
        for field in fields:
            if (value := obj.get(field)) is not None and value < 0:
                self.invalid(f"{path}.{field}", value, NON_NEGATIVE)

    def one_of(self, obj: Mapping[str, Any], path: str, field: str, supported: Iterable[str]) -> bool:
        """Whether a field, which must be there, has one of some values; the path of a top-level field is empty."""
        value = obj.get(field)
        if value and value in supported:
            return True
        place = f"{path}.{field}" if path else field
        if value:
            self.unsupported(place, value, supported)
        else:
            self.required(place)
        return False

    def optional(self, obj: Mapping[str, Any], path: str, field: str, supported: Iterable[str]) -> None:
        """A field that may be absent, and else has one of some values."""
        value = obj.get(field)
        if value is not None and value not in supported:
            self.unsupported(f"{path}.{field}" if path else field, value, supported)

    def name(self, obj: Mapping[str, Any], path: str, field: str, check: Check) -> None:
        """A field that may be empty, and else has a form."""
        if value := obj.get(field):
            self.each_invalid(f"{path}.{field}" if path else field, value, check(value))

    def required_name(self, obj: Mapping[str, Any], path: str, field: str, check: Check) -> None:
        """A field that must be there, and has a form."""
        place = f"{path}.{field}" if path else field
        if value := obj.get(field):
            self.each_invalid(place, value, check(value))
        else:
            self.required(place)

    def required_fields(self, obj: Mapping[str, Any], path: str, *fields: str) -> None:
        """Fields of which an empty value is as good as none."""
        for field in fields:
            if not obj.get(field):
                self.required(f"{path}.{field}" if path else field)

    def immutable(self, obj: Mapping[str, Any], old: Mapping[str, Any], path: str, *fields: str) -> None:
        """Fields that an update may not change."""
        for field in fields:
            if obj.get(field) != old.get(field):
                self.invalid(f"{path}.{field}" if path else field, obj.get(field), IMMUTABLE)


def shown(value: Any) -> str:
    """A value within a message: JSON, near enough to what Go prints."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
