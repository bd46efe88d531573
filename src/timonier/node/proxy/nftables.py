"""Applies what `ledger` and `table` say, and notices when somebody else changed it.

The kernel numbers ruleset generations: as long as the number is the one after our own last transaction, nothing has to
be looked at.
"""

from __future__ import annotations

import struct
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from timonier.kit import netlink
from timonier.kit.nft import Nftables, NftablesError
from timonier.node.proxy import table
from timonier.node.proxy.elements import (
    ADMITTED,
    ENDPOINTS,
    SERVICES,
    SHORTCUT_ENDPOINTS,
    SHORTCUTS,
    STICKY,
    Element,
)
from timonier.node.proxy.ledger import Change
from timonier.node.proxy.rules import Endpoint, Frontend

GET_GENERATION = 10 << 8 | 16
GENERATION_ID = 1
FEW = 64
"""Elements up to which a change is not worth a thread."""


class KernelTable:
    """Our table in the kernel of the network namespace in which this is made. `apply` and `replace` raise NftablesError
    and then have changed nothing."""

    def __init__(self, name: str, nft: Nftables) -> None:
        self.name = name
        self._nft = nft
        self._made: set[str] = set()
        self._generations, self._generation = Generations(), -1

    def close(self) -> None:
        """Let go of the kernel; the table stays."""
        self._generations.close()
        self._nft.close()

    @property
    def remembers(self) -> bool:
        """Whether any frontend remembers its clients."""
        return any(name.startswith(STICKY) for name in self._made)

    def replace(self, elements: Iterable[Element], here: Iterable[str], unclaimed: Iterable[str]) -> None:
        """Put the whole table in place at once, whatever was there. Connections that are open stay open."""
        wanted = list(elements)
        needed, prelude = self._needed(wanted, made=set())
        self._nft.apply(table.replacement(self.name, here, unclaimed) + prelude + self._commands("add", wanted))
        self._made = needed
        self._generation = self._generations.current()

    def apply(self, change: Change) -> None:
        """Make one change, as one transaction."""
        needed, prelude = self._needed(change.add, self._made)
        seen = self._generations.current()
        self._nft.apply(prelude + self._commands("delete", change.delete) + self._commands("add", change.add))
        self._made |= needed
        if seen == self._generation:  # else somebody else changed something before us, which `disturbed` has to see
            self._generation = self._generations.current()

    def disturbed(self, elements: Iterable[Element]) -> bool:
        """Whether the table in the kernel is no longer ours as we left it; costs microseconds while nobody else
        changes nftables."""
        now = self._generations.current()
        if now == self._generation:
            return False
        try:
            if not self._stands(Counter(element.where for element in elements)):
                return True
        except NftablesError:
            return True
        self._generation = now
        return False

    def _stands(self, wanted: Counter[str]) -> bool:
        """Whether rules, chains and as many elements as these are there. The clients remembered are not counted: they
        come and go by themselves, and may be many."""
        for hook in table.HOOKS:
            if not any("rule" in entry for entry in self._nft.read(f"list chain ip {self.name} {hook}")):
                return False
        chains = {entry["chain"]["name"] for entry in self._nft.read("list chains ip")
                  if entry.get("chain", {}).get("table") == self.name}
        if not {each for each in self._made if not each.startswith(STICKY)} <= chains:
            return False
        for name in wanted.keys() - INTERVAL_SETS:
            listed = self._nft.read(f"list {'map' if name in MAPS else 'set'} ip {self.name} {name}")
            if any(len(body.get("elem", ())) != wanted[name] for _, body in collections_in(listed)):
                return False
        return True

    def forget(self, stale: Callable[[Frontend, Endpoint], bool]) -> None:
        """Forget the clients that are remembered to be at an endpoint which `stale` says they should leave."""
        for name, body in collections_in(self._nft.read(f"list map ip {self.name} {table.AFFINITY}")):
            doomed = [Element(name, key) for key, frontend, endpoint in map(remembered, body.get("elem", ()))
                      if stale(frontend, endpoint)]
            for at in range(0, len(doomed), 1000):
                self._delete_if_there(doomed[at : at + 1000])

    def remove(self) -> None:
        self._nft.apply(f"add table ip {self.name}\ndelete table ip {self.name}\n")

    def _delete_if_there(self, doomed: list[Element]) -> None:
        try:
            self._nft.apply(self._commands("delete", doomed))
        except NftablesError:  # one of them timed out meanwhile
            for element in doomed:
                try:
                    self._nft.apply(self._commands("delete", [element]))
                except NftablesError:
                    continue

    def _needed(self, added: Iterable[Element], made: set[str]) -> tuple[set[str], str]:
        """Chains and sets that these elements lead to and that were not made yet, and the commands that make them."""
        chains = {element.chain for element in added if element.chain} - made
        sets = {element.where for element in added if element.where.startswith(STICKY)} - made
        return chains | sets, "".join(table.chain(self.name, name) for name in sorted(chains)) + "".join(
            table.sticky_set(self.name, name) for name in sorted(sets))

    def _commands(self, verb: str, elements: Iterable[Element]) -> str:
        by_place: dict[str, list[str]] = defaultdict(list)
        for element in elements:
            by_place[element.where].append(element.text if verb == "add" else element.key)
        return "".join(f"{verb} element ip {self.name} {where} {{ {', '.join(texts)} }}\n"
                       for where, texts in by_place.items())


INTERVAL_SETS = frozenset({ADMITTED})
"""Sets whose elements nft may list in another number than they were added."""


MAPS = frozenset({SERVICES, SHORTCUTS, ENDPOINTS, SHORTCUT_ENDPOINTS})


def collections_in(present: Iterable[dict[str, Any]]) -> Iterable[tuple[str, dict[str, Any]]]:
    """The sets and maps of a listing by name."""
    for entry in present:
        for body in (entry.get("map"), entry.get("set")):
            if body:
                yield body["name"], body


def remembered(listed: list[Any]) -> tuple[str, Frontend, Endpoint]:
    """Key, frontend and endpoint of an affinity, as nft lists it in JSON."""
    key, value = listed
    client, address, protocol, port = (key["elem"]["val"] if "elem" in key else key)["concat"]
    target, target_port = value["concat"]
    return (f"{client} . {address} . {protocol} . {port}", Frontend(address, str(protocol).upper(), int(port)),
            Endpoint(target, int(target_port)))


class Generations:
    """Asks the kernel which ruleset of this network namespace is in force. The socket stays open: closing one makes the
    kernel wait until all that was deleted is freed, 7 ms with 10,000 Services."""

    def __init__(self) -> None:
        self._kernel = netlink.Netlink(netlink.NETFILTER)

    def current(self) -> int:
        """The number of the present ruleset; it grows with every transaction, whosever."""
        for answer in self._kernel.ask(GET_GENERATION, struct.pack("=BBH", 0, 0, 0)):
            return int.from_bytes(netlink.attributes(answer[4:])[GENERATION_ID], "big")
        return -1

    def close(self) -> None:
        self._kernel.close()
