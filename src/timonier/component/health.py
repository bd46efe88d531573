"""Health as text: `ok`, or one line a check.

Source: Kubernetes documentation, "Kubernetes API health endpoints".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping


def report(endpoint: str, wrong: Mapping[str, str], excluded: Collection[str] = (), *,
           verbose: bool = False) -> tuple[int, str]:
    """The status and the text for an endpoint, from what is wrong by the name of the check; empty is well."""
    lines, failed = [], False
    for name, why in wrong.items():
        if name in excluded:
            lines.append(f"[+]{name} excluded: ok")
        elif why:
            lines.append(f"[-]{name} failed: {why}")
            failed = True
        else:
            lines.append(f"[+]{name} ok")
    if failed:
        return 500, "\n".join([*lines, f"{endpoint} check failed"]) + "\n"
    return 200, "\n".join([*lines, f"{endpoint} check passed"]) + "\n" if verbose else "ok"
