"""Expressions as the rest of the server uses them: compiled once, run many times, estimated before they are let in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from timonier.api.cel.check import check
from timonier.api.cel.closures import METER, Frame, Meter
from timonier.api.cel.environment import Environment
from timonier.api.cel.evaluate import Builder
from timonier.api.cel.parse import TOO_DEEP, parse
from timonier.api.cel.syntax import NOWHERE, Node, Problem, show
from timonier.api.cel.validate import validate
from timonier.api.cel.values import Failure


class CompileError(ValueError):
    """An expression that cannot be compiled; as text, what cel-go would say, a problem with its line each.

    `stage` is what failed: the compilation, or, of an expression that is right but for a constant that means nothing,
    the program's instantiation.
    """

    def __init__(self, message: str, stage: str = "compilation") -> None:
        super().__init__(message)
        self.stage = stage


class Program:
    """A compiled expression. `type` is that of its result; `uses` the variables of the environment that occur in it."""

    __slots__ = ("_blank", "_cost", "_run", "_used", "text", "tree", "type")

    def __init__(self, text: str, tree: Node, environment: Environment) -> None:
        self.text, self.tree, self.type = text, tree, tree.type
        builder = Builder(environment.variables)
        self._run = builder.value(tree)
        self._cost = builder.cost
        self._used = tuple(builder.slots.items())
        self._blank: Frame = [None] * builder.size

    @property
    def uses(self) -> frozenset[str]:
        return frozenset(name for name, _ in self._used)

    def __call__(self, bindings: Mapping[str, Any], meter: Meter | None = None) -> Any:
        """The expression's value, for values of its variables (JSON, as declared). Raises Failure.

        `meter` bounds what the evaluation may cost, and tells what it did; beyond its limit it raises Exhausted.
        An object that was stored under an older schema may hold values of other types than are declared, for which
        functions were chosen: that is a failure as well.
        """
        frame = self._blank.copy()
        meter = frame[METER] = meter or Meter()
        for name, slot in self._used:
            frame[slot] = bindings[name]
        try:
            value = self._run(frame)
        except RecursionError:
            raise Failure("evaluation is nested too deeply") from None
        except (AttributeError, TypeError, ValueError) as error:
            raise Failure("invalid data, which is not of the types that the schema declares") from error
        meter.spend(self._cost)
        return value


def compile(text: str, environment: Environment) -> Program:  # noqa: A001
    """Parse, check and build an expression. Raises CompileError."""
    tree, problems = parse(text, environment.version)
    try:
        problems = problems or check(tree, environment) or validate(tree)
        if not problems:
            return Program(text, tree, environment)
    except Failure as error:
        raise CompileError(str(error), "program instantiation") from None
    except RecursionError:
        problems = [Problem(NOWHERE, TOO_DEEP)]
    raise CompileError(show(problems, text))


