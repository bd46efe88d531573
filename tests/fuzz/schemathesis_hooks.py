"""What schemathesis is told about this API: a watch lasts until its client leaves, so that each gets a short time."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.hook
def map_query(context: Any, query: Any) -> Any:
    if isinstance(query, dict):
        for name in ("watch", "follow", "resourceVersion"):
            query.pop(name, None)
    return query
