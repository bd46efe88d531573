"""Expressions about claims and about the user that is made of them: `claims.sub`, `user.groups.all(…)`.

A field whose name is no identifier is reached by its escaped name (`claims.foo__dot__bar`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from timonier.api import cel
from timonier.api.cel import STORED, CompileError, Declared, Environment, Failure, Program, declare, types
from timonier.api.cel.escaping import escape
from timonier.api.cel.syntax import Name, Node, Select
from timonier.apiserver.auth.identity import BadToken
from timonier.apiserver.request import User

CLAIMS, USER = "claims", "user"
TEXTS = {"type": "array", "items": {"type": "string"}}
USER_SCHEMA = {"type": "object", "properties": {
    "username": {"type": "string"}, "uid": {"type": "string"}, "groups": TEXTS,
    "extra": {"type": "object", "additionalProperties": TEXTS}}}


@cache
def environment(variable: str) -> Environment:
    if variable == CLAIMS:
        return Environment({CLAIMS: Declared(types.map_of(types.STRING, types.DYN))}, STORED)
    user = declare(USER_SCHEMA, "kubernetes.UserInfo")
    assert user is not None
    return Environment({USER: user}, STORED)


@cache
def program(text: str, variable: str) -> Program:
    """Raises CompileError."""
    return cel.compile(text, environment(variable))


def problem(text: str, variable: str, wanted: Sequence[str]) -> str:
    """What is wrong with an expression that is to give one of some types; empty where nothing is."""
    try:
        found = str(program(text, variable).type)
    except CompileError as error:
        return f"{error.stage} failed: {error}"
    if found in wanted or (found in ("dyn", "any") and wanted != ("bool",)):
        return ""
    return f"must evaluate to {wanted[0]}" if len(wanted) == 1 else f"must evaluate to one of [{' '.join(wanted)}]"


def evaluate(text: str, variable: str, value: Any, what: str) -> Any:
    """The value of an expression. Raises BadToken."""
    try:
        return program(text, variable)({variable: value})
    except Failure as error:
        raise BadToken(f"oidc: error evaluating {what}: {error}") from error


def reachable(value: Any) -> Any:
    """Claims with every key under its escaped name too."""
    if isinstance(value, list):
        return [reachable(each) for each in value]
    if not isinstance(value, dict):
        return value
    made = {key: reachable(each) for key, each in value.items()}
    return made | {escaped: made[key] for key in value if (escaped := escape(key)) and escaped not in made}


def user_value(user: User) -> dict[str, Any]:
    return {"username": user.name, "uid": user.uid, "groups": list(user.groups),
            "extra": {key: list(values) for key, values in user.extra.items()}}


def email_is_verified(username: str, others: Sequence[str]) -> bool:
    """Whether an expression that makes names of `claims.email` stands beside one that looks whether it is verified."""
    if not username or not reads(username, "email"):
        return True
    return any(reads(text, "email_verified") for text in (username, *others) if text)


def reads(text: str, claim: str) -> bool:
    return any(isinstance(node, Select) and node.field == claim and isinstance(node.operand, Name)
               and node.operand.name == CLAIMS for node in walk(program(text, CLAIMS).tree))


def walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children():
        yield from walk(child)
