"""The Common Expression Language as Kubernetes speaks it (KEP-2876; CEL specification).

`compile(text, environment)` gives a `Program` or raises `CompileError` with what cel-go would say; a program is called
with the values of its variables and a `Meter`. Values are plain JSON, seen through the declarations that `declare`
makes of schemas. `estimate` says what an expression may cost at worst. Everything is pure: authorisation checks are a
function among the values (`library.authorizer`).

Reading order: `lexer → parse → macros → check → evaluate → closures → loops`, then `library/`, a module a library.
Policies and rules, which use expressions, are elsewhere.
"""

from __future__ import annotations

from timonier.api.cel.closures import Meter
from timonier.api.cel.costs import PER_CALL, PER_OBJECT
from timonier.api.cel.declarations import Declared, declare, dynamic
from timonier.api.cel.environment import NEW, STORED, Environment
from timonier.api.cel.estimate import estimate
from timonier.api.cel.program import CompileError, Program, compile  # noqa: A004
from timonier.api.cel.values import Exhausted, Failure

__all__ = ["NEW", "PER_CALL", "PER_OBJECT", "STORED", "CompileError", "Declared", "Environment", "Exhausted", "Failure",
           "Meter", "Program", "compile", "declare", "dynamic", "estimate"]
