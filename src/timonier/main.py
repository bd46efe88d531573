"""The composition root: every command of `timonier`, and every role of a cluster as a process of its own.

Commands and roles are imported only when they run, so that each carries only what it needs. Here alone an error that
somebody can do something about (`kit.fatal`) becomes a line and exit code 1; a traceback is always a bug.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

VERBS = {
    "start": "timonier.cluster.verbs.start",
    "stop": "timonier.cluster.verbs.stop",
    "delete": "timonier.cluster.verbs.delete",
    "status": "timonier.cluster.verbs.status",
    "node": "timonier.cluster.verbs.node",
    "image": "timonier.cluster.verbs.image",
    "logs": "timonier.cluster.verbs.logs",
    "kubectl": "timonier.cli.verbs.kubectl",
    "demo": "timonier.cluster.verbs.demo",
    "version": "timonier.cli.verbs.version",
}
"""A command's module has a docstring for its help, `arguments(parser)`, and `run(args) -> exit code`."""

ROLES = {
    "apiserver": ("timonier.apiserver.settings:ApiServerSettings", "timonier.apiserver.server:run"),
    "manager": ("timonier.manager:ManagerSettings", "timonier.manager:run"),
    "controllers": ("timonier.controllers.settings:ControllerSettings", "timonier.controllers.run:run"),
    "scheduler": ("timonier.scheduler.settings:SchedulerSettings", "timonier.scheduler.run:run"),
    "agent": ("timonier.node.settings:NodeSettings", "timonier.node.agent:run"),
}
"""Settings, and the coroutine that runs a role with them until it is cancelled."""

GC_THRESHOLD = 50_000
"""With Python's default of 700, decoding a list of 5,000 pods spent two thirds of its time collecting nothing, and
importing a twentieth."""

SUPERVISE = "supervise"
"""What `timonier start` leaves behind to look after a cluster's processes."""

INTERRUPTED, READER_GONE = 130, 141
"""Exit codes, as of a program that SIGINT or SIGPIPE ended."""

PASSED_ON = frozenset({"kubectl"})
"""Commands whose arguments belong to another program, flags included."""


def command() -> None:
    """The console script."""
    try:
        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # whoever read our output has heard enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(READER_GONE)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns its exit code."""
    gc.set_threshold(GC_THRESHOLD, 20, 20)
    name = arguments[0] if arguments else ""
    if name in ROLES:
        return run_role(name, arguments[1:])
    if name == SUPERVISE and len(arguments) == 2:
        return run_logged(name, lambda: attribute("timonier.cluster.supervisor:run")(arguments[1]))
    return run_verb(name, arguments)


def run_role(name: str, arguments: Sequence[str]) -> int:
    from timonier.kit import logs, process
    from timonier.kit.settings import parse

    settings_path, main_path = ROLES[name]
    settings: Any = parse(attribute(settings_path), arguments, program=f"timonier {name}")

    def serve() -> None:
        logs.configure(settings.log_level)
        process.run_forever(attribute(main_path)(settings))

    return run_logged(name, serve)


def run_logged(name: str, action: Callable[[], None]) -> int:
    """Run a process that logs; what keeps it from its work is its last line of log, and the exit code 1."""
    from timonier.kit import fatal, logs

    logs.configure()
    try:
        action()
    except (fatal.CannotRun, BaseExceptionGroup) as error:
        reasons = fatal.reasons(error)
        if not reasons:
            raise
        for reason in reasons:
            logging.getLogger(__name__).error("cannot run", extra={"role": name, "error": reason})
        return 1
    return 0


def run_verb(name: str, arguments: Sequence[str]) -> int:
    """Parse and run a command; what a user can do something about is said in one line, without a traceback."""
    from timonier.api.errors import ApiError
    from timonier.kit.fatal import CannotRun, sentence

    parser = argparse.ArgumentParser(prog="timonier", description="Kubernetes in Python: whole clusters in seconds.",
                                     epilog="Roles, for clusters of several machines: " + ", ".join(ROLES))
    commands = parser.add_subparsers(dest="verb", metavar="COMMAND", required=True)
    chosen: dict[str, ModuleType] = {}
    for verb, path in VERBS.items():
        if verb == name:
            module = chosen[verb] = import_module(path)
            own = commands.add_parser(verb, help=summary(module), description=module.__doc__,
                                      add_help=verb not in PASSED_ON, prefix_chars="\0" if verb in PASSED_ON else "-")
            module.arguments(own)
        elif name not in VERBS:
            commands.add_parser(verb, help=summary(import_module(path)))
    if not arguments:
        parser.print_help()
        return 0
    args = parser.parse_args(arguments)
    try:
        return int(chosen[args.verb].run(args))
    except (CannotRun, ApiError) as error:
        return complain(str(error))
    except BrokenPipeError:
        raise
    except OSError as error:  # the machine refuses: a file, the disk, a right
        return complain(sentence(error))


def complain(text: str) -> int:
    print(f"error: {text}", file=sys.stderr)  # noqa: T201
    return 1


def summary(module: ModuleType) -> str:
    """The first line of a command's docstring, without its name."""
    line = (module.__doc__ or "").strip().splitlines()[0]
    return line.partition(": ")[2] or line


def attribute(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
