"""IP addresses and networks: `ip`, `cidr`, and what can be asked of them. IPv4 in IPv6 and zones are refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from math import ceil
from typing import Any, ClassVar

from timonier.api.cel.costs import ONE, TRAVERSE, Cost, Estimate, Operand, Range, Scan, exactly
from timonier.api.cel.functions import Overload, function, method
from timonier.api.cel.types import BOOL, INT, STRING, Type
from timonier.api.cel.values import Failure, size

IP, CIDR = Type("net.IP"), Type("net.CIDR")
TYPES = [IP, CIDR]
SINCE = 30
FROM_STRING = "conversion from string"
Any4or6 = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Address:
    ip: Any4or6
    cel_type: ClassVar[Type] = IP
    cel_equality: ClassVar[int] = 1

    @property
    def cel_size(self) -> int:
        return self.ip.max_prefixlen // 8

    def __str__(self) -> str:
        return self.ip.compressed


@dataclass(frozen=True, slots=True)
class Network:
    """A network as it was written: bits behind the prefix may be set."""

    ip: Any4or6
    prefix: int
    cel_type: ClassVar[Type] = CIDR
    cel_equality: ClassVar[int] = 1

    @property
    def cel_size(self) -> int:
        return ceil(self.prefix / 8)

    @property
    def network(self) -> IPv4Network | IPv6Network:
        return ip_network((int(self.ip), self.prefix), strict=False) if self.ip.version == 4 else \
            IPv6Network((int(self.ip), self.prefix), strict=False)

    def __str__(self) -> str:
        return f"{self.ip.compressed}/{self.prefix}"


@dataclass(frozen=True)
class Within(Cost):
    """A network beside an address or a network. `parses` where that is a string; `masks` where it is a network."""

    parses: bool = False
    masks: bool = False

    def actual(self, arguments: tuple[Any, ...], result: Any) -> int:
        mine = size(arguments[0])
        cost = ceil(2 * mine * TRAVERSE)
        if self.masks:
            cost += ceil(mine * TRAVERSE) + 1
        return cost + (ceil(size(arguments[1]) * TRAVERSE) if self.parses else 0)

    def estimate(self, operands: list[Operand]) -> Estimate:
        address = Range(4, 16)
        cost = address.plus(address).by(TRAVERSE)
        if self.masks:
            cost = cost.plus(address.by(TRAVERSE)).plus(exactly(1))
        return Estimate(cost.plus(operands[1].size().by(TRAVERSE)) if self.parses else cost)


def read_address(text: str) -> Address:
    """Raises Failure, in the words of Kubernetes."""
    try:
        address = ip_address(text)
    except ValueError:
        raise Failure(f'IP Address "{text}" parse error during {FROM_STRING}: {unparsed(text)}') from None
    if "%" in text:
        raise Failure(f'IP address "{text}" with zone value is not allowed')
    if getattr(address, "ipv4_mapped", None):
        raise Failure(f'IPv4-mapped IPv6 address "{text}" is not allowed')
    return Address(address)


def read_network(text: str) -> Network:
    """Raises Failure, in the words of Kubernetes."""
    host, slash, bits = text.partition("/")
    try:
        address = ip_address(host)
        if "%" in host or not re.fullmatch("0|[1-9][0-9]{0,2}", bits) or int(bits) > address.max_prefixlen:
            raise ValueError(text)
    except ValueError:
        raise Failure(f"network address parse error during {FROM_STRING}: network address parse error during "
                      f'{FROM_STRING}: netip.ParsePrefix("{text}"): {unparsed_network(host, slash, bits)}') from None
    if getattr(address, "ipv4_mapped", None):
        raise Failure(f"network address parse error during {FROM_STRING}: "
                      f'IPv4-mapped IPv6 address "{text}" is not allowed')
    return Network(address, int(bits))


def unparsed(text: str) -> str:
    """Why Go's `netip.ParseAddr` does not take a text for an address; what is wrong with IPv6 is not told apart."""
    return f'ParseAddr("{text}"): {fault(text)}'


def fault(text: str) -> str:
    kind = re.search(r"[.:%]", text)
    if kind is None:
        return "unable to parse IP"
    if kind.group() == "%":
        return "missing IPv6 address"
    if kind.group() == ":":
        odd = re.search(r":::+", text)
        return f'each colon-separated field must have at least one digit (at "{text[odd.start() + 2:]}")' if odd else \
            "unable to parse IP"
    if odd := re.search(r"[^0-9.]", text):
        return f'unexpected character (at "{text[odd.start():]}")'
    parts = text.split(".")
    if "" in parts:
        return f'IPv4 field must have at least one digit (at "{text[max(text.find(".."), 0):]}")'
    if any(len(part) > 1 and part[0] == "0" for part in parts):
        return "IPv4 field has octet with leading zero"
    if any(int(part[:4]) > 255 for part in parts):
        return "IPv4 field has value >255"
    return "IPv4 address too long" if len(parts) > 4 else "IPv4 address too short"


def unparsed_network(host: str, slash: str, bits: str) -> str:
    """Likewise, of `netip.ParsePrefix`."""
    if not slash:
        return "no '/'"
    try:
        ip_address(host)
    except ValueError:
        return unparsed(host)
    if "%" in host:
        return "IPv6 zones cannot be present in a prefix"
    plain = re.fullmatch("0|[1-9][0-9]*", bits)
    return "prefix length out of range" if plain else f'bad bits after slash: "{bits}"'


def reads(read: Callable[[str], Any]) -> Callable[[str], bool]:
    def test(text: str) -> bool:
        try:
            read(text)
        except Failure:
            return False
        return True
    return test


def contains_ip(network: Network, address: Address | str) -> bool:
    address = read_address(address) if isinstance(address, str) else address
    return network.ip.version == address.ip.version and address.ip in network.network


def contains_network(network: Network, other: Network | str) -> bool:
    other = read_network(other) if isinstance(other, str) else other
    return network.ip.version == other.ip.version and network.prefix <= other.prefix and other.ip in network.network


def is_global_unicast(address: Address) -> bool:
    one = address.ip
    return not (one.is_unspecified or one.is_loopback or one.is_multicast or one.is_link_local
                or (isinstance(one, IPv4Address) and one == IPv4Address("255.255.255.255")))


def is_local_multicast(address: Address) -> bool:
    one = address.ip
    if isinstance(one, IPv4Address):
        return one in IPv4Network("224.0.0.0/24")
    return one.is_multicast and (one.packed[1] & 0x0F) == 2


def asks(name: str, identity: str, run: Callable[[Address], bool]) -> Overload:
    return method(name, identity, [IP], BOOL, run, ONE, SINCE)


FUNCTIONS = [
    function("ip", "string_to_ip", [STRING], IP, read_address, Scan(), SINCE),
    function("isIP", "is_ip", [STRING], BOOL, reads(read_address), Scan(), SINCE),
    function("ip.isCanonical", "ip_is_canonical", [STRING], BOOL, lambda text: str(read_address(text)) == text,
             Scan(factor=2), SINCE),
    method("family", "ip_family", [IP], INT, lambda address: address.ip.version, ONE, SINCE),
    asks("isUnspecified", "ip_is_unspecified", lambda address: address.ip.is_unspecified),
    asks("isLoopback", "ip_is_loopback", lambda address: address.ip.is_loopback),
    asks("isLinkLocalMulticast", "ip_is_link_local_multicast", is_local_multicast),
    asks("isLinkLocalUnicast", "ip_is_link_local_unicast", lambda address: address.ip.is_link_local),
    asks("isGlobalUnicast", "ip_is_global_unicast", is_global_unicast),
    function("string", "ip_to_string", [IP], STRING, str, ONE, SINCE),
    function("cidr", "string_to_cidr", [STRING], CIDR, read_network, Scan(), SINCE),
    function("isCIDR", "is_cidr", [STRING], BOOL, reads(read_network), Scan(), SINCE),
    method("containsIP", "cidr_contains_ip_string", [CIDR, STRING], BOOL, contains_ip, Within(parses=True), SINCE),
    method("containsIP", "cidr_contains_ip_ip", [CIDR, IP], BOOL, contains_ip, Within(), SINCE),
    method("containsCIDR", "cidr_contains_cidr_string", [CIDR, STRING], BOOL, contains_network,
           Within(parses=True, masks=True), SINCE),
    method("containsCIDR", "cidr_contains_cidr", [CIDR, CIDR], BOOL, contains_network, Within(masks=True), SINCE),
    method("ip", "cidr_ip", [CIDR], IP, lambda network: Address(network.ip), ONE, SINCE),
    method("prefixLength", "cidr_prefix_length", [CIDR], INT, lambda network: network.prefix, ONE, SINCE),
    method("masked", "cidr_masked", [CIDR], CIDR,
           lambda network: Network(network.network.network_address, network.prefix), ONE, SINCE),
    function("string", "cidr_to_string", [CIDR], STRING, str, ONE, SINCE),
]
