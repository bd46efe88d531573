"""Writes the pages of docs/reference that derive from the code: commands.md, settings.md and expressions.md.

    python scripts/reference.py            write them
    python scripts/reference.py --check    change nothing; exit with 1 and their names where they are stale

Words belong into the docstrings of commands and settings, where the help of `timonier` comes from too.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import sys
import typing
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from timonier.api.cel.costs import PER_CALL, PER_OBJECT
from timonier.api.cel.functions import LIBRARIES, Overload
from timonier.api.cel.macros import MACROS
from timonier.kit.connection import Limits
from timonier.kit.settings import default_of, field_docs, flag_of
from timonier.main import PASSED_ON, ROLES, VERBS, attribute

FOLDER = Path(__file__).parent.parent / "docs" / "reference"
MADE = "<!-- Written by scripts/reference.py from the code. Change the docstrings there, then run `make docs`. -->"

COMMANDS_HEAD = f"""\
# Commands
{MADE}

`timonier COMMAND --help` says the same as this page. Progress and results go to standard output, errors to standard
error as one line `error: …` that says what to do. Every command but `kubectl` and `version` needs root. A
cluster's name defaults to `timonier`.

| Exit code | Meaning |
|---|---|
| 0 | done |
| 1 | it could not be done; the message says why |
| 2 | the command line is not understood |
| 130 | interrupted by Ctrl-C |

A command that gives other meanings says so below.
"""

ROLES_HEAD = """\
## Roles
What a cluster consists of, each as a process of its own that runs until SIGTERM or SIGINT. `timonier start` runs them
through its supervisor; their flags are on [their own page](settings.md).

| Command | What it runs |
|---|---|
"""

SETTINGS_HEAD = f"""\
# Settings
{MADE}

Each role of a cluster takes its settings as flags: `timonier apiserver --secure-port 7443`. A boolean `--x` is turned
off by `--no-x`; a flag that may be given several times makes a list, and its first use replaces the default. A value
that cannot be ends the process with exit code 2 and a message; one that names what cannot be used (a file that is
missing, a port that is taken) with exit code 1 and a line in its log. No role reads a configuration file or the
environment.

`timonier start` chooses the settings of its own processes (`cluster/components.py`); what it chose stands in the
command line of each (`ps -ef`, or `/run/timonier/<cluster>/pids/`).
"""

LIMITS_HEAD = """\
## HTTP servers
Limits of the API server and of the kubelets' API, towards each client. They are no flags.

| Limit | Default | Meaning |
|---|---|---|
"""


def commands() -> str:
    """The page of every command and role."""
    parts = [COMMANDS_HEAD, *(command(name) for name in VERBS)]
    rows = [f"| `timonier {name}` | {cell(inspect.getdoc(attribute(settings)) or '')} |\n"
            for name, (settings, _) in ROLES.items()]
    return "\n".join([*parts, ROLES_HEAD]) + "".join(rows)


def command(name: str) -> str:
    """One command: what it is for, and its arguments."""
    module = import_module(VERBS[name])
    parser = argparse.ArgumentParser(prog=f"timonier {name}", add_help=False)
    module.arguments(parser)
    summary, _, rest = (module.__doc__ or "").strip().partition("\n\n")
    title, _, summary = summary.partition(": ")
    text = f"## timonier {title}\n{sentence(summary)}\n"
    if rest:
        text += f"\n{rest.strip()}\n"
    return text if name in PASSED_ON else text + "".join(tables(parser, f"timonier {name}"))


def tables(parser: argparse.ArgumentParser, called: str) -> Iterator[str]:
    """A table of a parser's arguments, and those of its actions."""
    every = parser._actions  # argparse offers no other way to read a parser
    actions = [action for action in every if isinstance(action, argparse._SubParsersAction)]
    plain = [action for action in every if not isinstance(action, argparse._SubParsersAction)]
    if rows := [f"| `{cell(spelling(each))}` | {meaning(each)} |\n" for each in plain if each.dest != "help"]:
        yield "\n| Argument | Meaning |\n|---|---|\n" + "".join(rows)
    for group in actions:
        helps = {choice.dest: choice.help for choice in group._choices_actions}
        for name, own in group.choices.items():
            yield f"\n### {called} {name}\n{sentence(helps.get(name) or '')}\n"
            yield from tables(own, f"{called} {name}")


def spelling(action: argparse.Action) -> str:
    """An argument as one writes it: `--name NAME`, `-f, --follow`, `[COMPONENT]`, `FILE…`."""
    shown = str(action.metavar or action.dest).upper()
    if not action.option_strings:
        return {"?": f"[{shown}]", "+": f"{shown}…"}.get(str(action.nargs), shown)
    shown = "|".join(map(str, action.choices)) if action.choices else shown
    return ", ".join(action.option_strings) + ("" if action.nargs == 0 else f" {shown}")


def meaning(action: argparse.Action) -> str:
    text = cell(action.help or "")
    named = action.default not in (None, False, argparse.SUPPRESS) and "default" not in text and action.option_strings
    return (text + f" (default: {action.default})" if named else text).strip()


def settings() -> str:
    """The page of every setting of every role."""
    parts = [SETTINGS_HEAD, *(of_role(role, attribute(path)) for role, (path, _) in ROLES.items())]
    rows = (f"| `{field.name}` | `{default_of(field)}` | {cell(field_docs(Limits)[field.name])} |\n"
            for field in dataclasses.fields(Limits))
    return "\n".join([*parts, LIMITS_HEAD]) + "".join(rows)


def of_role(role: str, cls: type) -> str:
    """One role's table; what it has from another role's settings is named, not repeated."""
    text, docs, types = f"## timonier {role}\n{inspect.getdoc(cls)}\n", field_docs(cls), typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for base in cls.__mro__[1:]:
        if owner := next((name for name, (path, _) in ROLES.items() if attribute(path) is base), ""):
            text += f"\nIt takes every setting of [timonier {owner}](#timonier-{owner}), and:\n"
            known = {field.name for field in dataclasses.fields(base)}
            fields = {name: field for name, field in fields.items() if name not in known}
    text += "\n| Flag | Default | Meaning |\n|---|---|---|\n"
    return text + "".join(
        f"| `{flag_of(name)}` | {default(field)} | {cell(docs[name])}{several(types[name], docs[name])} |\n"
        for name, field in fields.items())


def default(field: dataclasses.Field[Any]) -> str:
    value = default_of(field)
    if value is dataclasses.MISSING:
        return "required"
    if isinstance(value, tuple):
        return ", ".join(f"`{each}`" for each in value) or "none"
    return "none" if value in (None, "", Path()) else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def several(kind: Any, said: str) -> str:
    return " May be given several times." if typing.get_origin(kind) is tuple and "several times" not in said else ""


def sentence(text: str) -> str:
    """A help text as a sentence."""
    text = " ".join(text.split())
    return (text[:1].upper() + text[1:]).rstrip(".") + "." if text else ""


def cell(text: str) -> str:
    """Text that fits into one cell of a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("%%", "%")


EXPRESSIONS_HEAD = f"""\
# Expressions
{MADE}

Custom resource definitions, admission policies, match conditions of webhooks and the authenticator's configuration take
expressions in CEL, the Common Expression Language: what `timonier.api.cel` knows stands here. The language itself is
described at cel.dev and in the Kubernetes documentation, "Common Expression Language in Kubernetes".

| Where | Variables |
|---|---|
| `x-kubernetes-validations` | `self`, and `oldSelf` in rules about changes |
| ValidatingAdmissionPolicy, MutatingAdmissionPolicy | `object`, `oldObject`, `request`, `namespaceObject`, `params` where there is a paramKind, `variables`, `authorizer` and `authorizer.requestResource` but in messages |
| `matchConditions` | the same, without `params` and `variables` for webhooks; `namespaceObject` is null |

One evaluation may cost {PER_CALL:,} units, all of one object {PER_OBJECT:,}: Kubernetes's units and limits. To look at a
name or a field costs 1, to make a list 10, a map 30, an object 40; a function costs what stands in Kubernetes's own
tables.

Operators are those of the language; numbers of different types can be compared, and added or multiplied only with their
own. Macros: {{macros}}.
"""  # noqa: E501


def expressions() -> str:
    macros = ", ".join(f"`{name}`" for name in dict.fromkeys(name for name, _, _ in MACROS))
    text = EXPRESSIONS_HEAD.format(macros=macros)
    for library in LIBRARIES:
        module = import_module(f"timonier.api.cel.library.{library}")
        rows = [f"| `{signature(overload)}` | {f'1.{overload.since}' if overload.since else ''} |\n"
                for overload in module.FUNCTIONS if overload.function[0].isalpha() and "@" not in overload.function]
        if rows:
            said = sentence((module.__doc__ or "").split("\n\n")[0])
            text += f"\n## {library.capitalize()}\n{said}\n\n| Function | Since |\n|---|---|\n{''.join(rows)}"
    return text


def signature(overload: Overload) -> str:
    """A function as it is written, with the types that it takes and gives."""
    takes = [*map(str, overload.parameters)]
    owner = f"{takes.pop(0)}." if overload.member else ""
    return f"{owner}{overload.function}({', '.join(takes)}) → {overload.result}"


PAGES = {"commands.md": commands, "settings.md": settings, "expressions.md": expressions}


def stale() -> Iterable[str]:
    """The pages that are not what the code says."""
    for name, page in PAGES.items():
        path = FOLDER / name
        if not path.exists() or path.read_text() != page():
            yield name


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        found = list(stale())
        for name in found:
            print(f"docs/reference/{name} is stale; run: make docs")  # noqa: T201
        return 1 if found else 0
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
