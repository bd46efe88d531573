"""Lifecycle hooks: postStart right after a container has started, preStop before it is told to stop.

Source: Kubernetes documentation, "Container Lifecycle Hooks".
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from timonier.api.types import core_v1
from timonier.kit.clock import Clock, Seconds
from timonier.node.cri.contract import Runtime
from timonier.node.kubelet import names
from timonier.node.kubelet.probes import attempt
from timonier.node.kubelet.probes.attempt import Network, Outcome

HOOK_LIMIT: Seconds = 600
"""Longest time that a postStart hook may take."""


@dataclass(frozen=True)
class Hooks:
    runtime: Runtime
    network: Network
    clock: Clock

    async def run(self, container: core_v1.Container, handler: core_v1.LifecycleHandler, container_id: str, ip: str,
                  limit: Seconds = HOOK_LIMIT) -> Outcome:
        """Run a hook to its end, or to the end of its time."""
        if handler.exec:
            return await attempt.execute(self.runtime, container_id, handler.exec.command, limit)
        if handler.httpGet:
            try:
                url, headers = attempt.http_url(container, handler.httpGet, ip)
            except attempt.BadPort as error:
                return Outcome(False, str(error))
            return await self.network.http(url, headers, limit)
        if handler.sleep:
            await self.clock.sleep(min(handler.sleep.seconds, limit))
            return Outcome(True)
        return Outcome(False, "invalid handler: no action is given that hooks can take")


def failure_message(name: str, pod: core_v1.Pod, container: core_v1.Container, handler: core_v1.LifecycleHandler,
                    outcome: Outcome) -> str:
    """What the FailedPostStartHook and FailedPreStopHook events say."""
    if handler.exec:
        said = f", message: {json.dumps(outcome.output)}" if outcome.exited else ""
        return f"Exec lifecycle hook ([{' '.join(handler.exec.command)}]) for Container \"{container.name}\" " \
               f"in Pod \"{names.full_name(pod)}\" failed - error: {outcome.exited or outcome.output}{said}"
    return f'{name} hook failed: {outcome.output}'
