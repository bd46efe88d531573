"""Question → answer, from the zone alone; what is not ours to answer is said to be so. Pure."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from timonier.node.dns import wire
from timonier.node.dns.records import TTL, apex, soa_data, text_data, undashed
from timonier.node.dns.wire import OWNER_IS_QUESTION, Answer, Question, name_to_wire
from timonier.node.dns.zone import EXISTS, Zone

REVERSE = ".in-addr.arpa"
LONGEST_CHAIN = 8
RARE = text_data("RFC8482") + text_data("")
RecordOnWire = tuple[bytes, int, int, bytes]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The answer is not ours: ask upstream for `name`, and put these records before what it says."""

    name: str
    before: tuple[RecordOnWire, ...] = ()


@dataclass
class Answerer:
    """Answers for the cluster's domain and the reverse zones of its ranges."""

    domain: str
    ranges: Sequence[ipaddress.IPv4Network]
    """What lies in these is the cluster's: nobody upstream knows better."""
    dns_address: str = ""
    zone: Zone = field(default_factory=Zone)
    serial: int = 1

    def __post_init__(self) -> None:
        self.domain = self.domain.lower().strip(".")
        self.zone.put("apex", apex(self.domain, self.dns_address, self.serial))

    def answer(self, question: Question) -> Answer | Elsewhere:
        name = question.name
        if question.klass != wire.IN:
            return Answer(wire.REFUSED, authoritative=False)
        if self.is_ours(name):
            return self._from_zone(name, question.type, self.domain)
        if name.endswith(REVERSE) and (top := self._reverse_top(name)):
            return self._from_zone(name, question.type, top)
        return Elsewhere(name)

    def is_ours(self, name: str) -> bool:
        return name == self.domain or name.endswith("." + self.domain)

    def _reverse_top(self, name: str) -> str:
        """The reverse zone of ours in which a name lies; empty for one that is upstream's."""
        if self.zone.at(name):  # an endpoint outside the cluster's ranges
            return name
        labels = name.removesuffix(REVERSE).split(".")[::-1]
        octets = [*itertools.takewhile(is_octet, labels[:4])]
        if not octets:
            return ""
        network = ipaddress.IPv4Network((".".join(octets + ["0"] * (4 - len(octets))), 8 * len(octets)))
        for own in self.ranges:
            if network.subnet_of(own):
                return ".".join(octets[: -(-own.prefixlen // 8)][::-1]) + REVERSE
        return ""

    def _from_zone(self, name: str, kind: int, top: str) -> Answer | Elsewhere:
        chain: list[RecordOnWire] = []
        owner = OWNER_IS_QUESTION
        for _ in range(LONGEST_CHAIN):
            found = self._at(name)
            if found is None:
                return self._nothing(wire.NXDOMAIN, top, chain)
            if kind == wire.ANY and found:
                return Answer(records=[(owner, wire.HINFO, TTL, RARE)])
            if kind != EXISTS and (data := found.get(kind)):
                records = [(owner, kind, TTL, each) for each in data]
                return Answer(records=[*chain, *records], additional=self._targets(kind, data))
            if not (aliases := found.get(wire.CNAME)):
                return self._nothing(wire.NOERROR, top, chain)
            target = next(iter(aliases))
            chain.append((owner, wire.CNAME, TTL, target))
            owner, name = target, text_of(target)
            if not self.is_ours(name):
                return Elsewhere(name, tuple(chain))
        return Answer(wire.SERVFAIL)

    def _at(self, name: str) -> Mapping[int, Iterable[bytes]] | None:
        """What stands at a name, pods' names included, which are not kept but read: they say their own address."""
        found = self.zone.at(name)
        if found is None and name.endswith(f".pod.{self.domain}"):
            label, _, namespace = name.removesuffix(f".pod.{self.domain}").partition(".")
            address = undashed(label)
            if address and "." not in namespace and self.zone.at(f"{namespace}.pod.{self.domain}") is not None:
                return {wire.A: [address]}
        return found

    def _targets(self, kind: int, data: Iterable[bytes]) -> list[RecordOnWire]:
        """The addresses of what SRV and NS records name, which the client would ask for next."""
        names = {wire.SRV: 6, wire.NS: 0}
        if kind not in names:
            return []
        targets = dict.fromkeys(each[names[kind]:] for each in data)
        return [(target, address_type, TTL, address) for target in targets
                for address_type in (wire.A, wire.AAAA)
                for address in (self.zone.at(text_of(target)) or {}).get(address_type, ())]

    def _nothing(self, rcode: int, top: str, chain: Sequence[RecordOnWire]) -> Answer:
        authority = [(name_to_wire(top), wire.SOA, TTL, soa_data(self.domain, self.serial))]
        return Answer(rcode, records=chain, authority=authority)


def is_octet(label: str) -> bool:
    return label.isascii() and label.isdecimal() and str(int(label)) == label and int(label) < 256


def text_of(name: bytes) -> str:
    """A name on the wire, uncompressed, as lower-case text."""
    labels, at = [], 0
    while name[at]:
        labels.append(name[at + 1 : at + 1 + name[at]])
        at += 1 + name[at]
    return b".".join(labels).lower().decode("latin-1")
