"""The manager process: controllers and scheduler side by side, each with its own identity.

Part of the composition root: the two do not know each other, and each also runs alone (`timonier controllers`,
`timonier scheduler`). One process saves the memory of a second Python.
"""

from __future__ import annotations

from asyncio import TaskGroup
from dataclasses import dataclass
from pathlib import Path

from timonier.component.shown import Shown
from timonier.controllers import run as controllers
from timonier.controllers.settings import ControllerSettings
from timonier.scheduler import run as scheduler
from timonier.scheduler.settings import SchedulerSettings


@dataclass(frozen=True, slots=True)
class ManagerSettings(ControllerSettings):
    """Run the controllers and the scheduler of a cluster in one process."""

    scheduler_kubeconfig: Path = Path()
    """Kubeconfig file with which the scheduler reaches the API server; the manager cannot do without."""


async def run(settings: ManagerSettings) -> None:
    """Run both until cancelled; where one fails, both end, and the supervisor starts them again.

    What both have to show is served at one place, that of the controllers.
    """
    shown = Shown()
    async with TaskGroup() as group:
        group.create_task(controllers.run(settings, shown), name="controllers")
        group.create_task(scheduler.run(SchedulerSettings(
            kubeconfig=settings.scheduler_kubeconfig, log_level=settings.log_level), shown), name="scheduler")
