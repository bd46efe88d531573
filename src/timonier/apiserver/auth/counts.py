"""What is counted about access, under Kubernetes's metric names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from timonier.apiserver.meters import Labels, counter, gauge

if TYPE_CHECKING:
    from prometheus_client import Metric

SUCCESS, FAILURE, ERROR = "success", "failure", "error"
"""A request showed a credential that holds; none that anybody knows; one that does not hold."""
OWN_NAMES = {"admin", "kubelet", "client", "kube_proxy"}
"""Users that are told apart; everyone else counts as `other`, so that nobody fills memory."""


@dataclass
class Counts:
    """Counters of one server. Authorisers are counted by their mode and name, where they decided."""

    attempts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    users: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    decisions: dict[Labels, int] = field(default_factory=lambda: defaultdict(int))

    def attempt(self, result: str, user: str = "") -> None:
        self.attempts[result] += 1
        if result == SUCCESS:
            self.users[user if user in OWN_NAMES else "other"] += 1

    def decided(self, mode: str, name: str, *, allowed: bool) -> None:
        self.decisions[mode, name, "allowed" if allowed else "denied"] += 1

    def families(self) -> Iterator[Metric]:
        """The families; two of the counters have names that Prometheus's library gives to no counter."""
        yield gauge("authentication_attempts", "Requests by whether their credentials hold.", ("result",),
                    (((result,), count) for result, count in self.attempts.items()))
        yield gauge("authenticated_user_requests", "Requests with credentials that hold, by user.", ("username",),
                    (((user,), count) for user, count in self.users.items()))
        yield counter("apiserver_authorization_decisions_total", "Decisions of authorisers that allowed or denied.",
                      ("type", "name", "decision"), self.decisions.items())
