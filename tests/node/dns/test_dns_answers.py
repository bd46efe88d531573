"""The DNS specification, question by question, read back by dnspython."""

from __future__ import annotations

import ipaddress
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.mirrors import HandMirror
from support.services import endpoint, service, slice_of

from timonier.api.types import core_v1, meta_v1
from timonier.kit.clock import FakeClock
from timonier.node.dns import wire
from timonier.node.dns.answers import Answerer
from timonier.node.dns.records import Record
from timonier.node.dns.run import Follower
from timonier.node.dns.server import Server
from timonier.node.dns.upstream import Upstream
from timonier.node.dns.zone import Zone, ancestors

SVC = "default.svc.cluster.local"
HTTP = [core_v1.ServicePort(name="http", port=80)]


def namespace(name: str) -> core_v1.Namespace:
    return core_v1.Namespace(metadata=meta_v1.ObjectMeta(name=name))


@pytest.fixture
def server() -> Server:
    ranges = [ipaddress.IPv4Network("10.96.0.0/16"), ipaddress.IPv4Network("10.244.0.0/16")]
    answerer = Answerer("cluster.local", ranges, "10.96.0.10")
    made = Server(answerer, Upstream(list, FakeClock()))
    Follower(answerer, made).follow(
        HandMirror(
            service("web", "10.96.0.5", ports=HTTP),
            service("db", "None", ports=HTTP),
            service("all", "None", publishNotReadyAddresses=True),
            service("alias", type="ExternalName", externalName="WEB.default.svc.cluster.local"),
            service("loop", type="ExternalName", externalName=f"loop.{SVC}"),
            service("away", type="ExternalName", externalName="example.com"),
        ),
        HandMirror(
            slice_of("db", endpoint("10.244.0.3", hostname="db-0"), endpoint("10.244.0.4"),
                     endpoint("10.244.0.5", ready=False), port_name="http"),
            slice_of("all", endpoint("10.244.0.6", ready=False)),
            slice_of("db", endpoint("2001:db8::3", hostname="db-0"), family="IPv6", name="db-6", port_name="http"),
        ),
        HandMirror(namespace("default"), namespace("empty")))
    return made


def ask(server: Server, name: str, kind: str = "A", **options: Any) -> dns.message.Message:
    query = dns.message.make_query(name, kind, **options)
    reply = server.answer(query.to_wire())
    assert isinstance(reply, bytes), "not answered from the zone"
    answer = dns.message.from_wire(reply)
    assert query.is_response(answer)
    return answer


def said(answer: dns.message.Message) -> set[str]:
    return {f"{rrset.name} {data.to_text()}" for rrset in answer.answer for data in rrset}


@pytest.mark.parametrize(("name", "kind", "expected"), [
    pytest.param(f"web.{SVC}", "A", {f"web.{SVC}. 10.96.0.5"}, id="cluster-ip"),
    pytest.param(f"db.{SVC}", "A", {f"db.{SVC}. 10.244.0.3", f"db.{SVC}. 10.244.0.4"}, id="headless-ready-alone"),
    pytest.param(f"db.{SVC}", "AAAA", {f"db.{SVC}. 2001:db8::3"}, id="headless-ipv6"),
    pytest.param(f"all.{SVC}", "A", {f"all.{SVC}. 10.244.0.6"}, id="publish-not-ready"),
    pytest.param(f"db-0.db.{SVC}", "A", {f"db-0.db.{SVC}. 10.244.0.3"}, id="hostname"),
    pytest.param(f"10-244-0-4.db.{SVC}", "A", {f"10-244-0-4.db.{SVC}. 10.244.0.4"}, id="endpoint-without-hostname"),
    pytest.param(f"_http._tcp.web.{SVC}", "SRV", {f"_http._tcp.web.{SVC}. 0 100 80 web.{SVC}."}, id="srv"),
    pytest.param(f"_http._tcp.db.{SVC}", "SRV", {
        f"_http._tcp.db.{SVC}. 0 100 8080 db-0.db.{SVC}.", f"_http._tcp.db.{SVC}. 0 100 8080 10-244-0-4.db.{SVC}."},
        id="srv-headless"),
    pytest.param(f"alias.{SVC}", "A", {f"alias.{SVC}. WEB.{SVC}.", f"WEB.{SVC}. 10.96.0.5"}, id="alias-followed"),
    pytest.param(f"away.{SVC}", "CNAME", {f"away.{SVC}. example.com."}, id="alias-itself"),
    pytest.param("5.0.96.10.in-addr.arpa", "PTR", {f"5.0.96.10.in-addr.arpa. web.{SVC}."}, id="ptr-of-service"),
    pytest.param("3.0.244.10.in-addr.arpa", "PTR", {f"3.0.244.10.in-addr.arpa. db-0.db.{SVC}."}, id="ptr-of-endpoint"),
    pytest.param("10-1-2-3.default.pod.cluster.local", "A", {"10-1-2-3.default.pod.cluster.local. 10.1.2.3"}, id="pod"),
    pytest.param("dns-version.cluster.local", "TXT", {'dns-version.cluster.local. "1.1.0"'}, id="schema-version"),
    pytest.param("cluster.local", "NS", {"cluster.local. ns.dns.cluster.local."}, id="ns"),
    pytest.param("ns.dns.cluster.local", "A", {"ns.dns.cluster.local. 10.96.0.10"}, id="name-server"),
])
def test_record(server: Server, name: str, kind: str, expected: set[str]) -> None:
    answer = ask(server, name, kind)
    assert said(answer) == expected
    assert answer.rcode() == dns.rcode.NOERROR
    assert answer.flags & dns.flags.AA


@pytest.mark.parametrize(("name", "kind", "rcode"), [
    pytest.param(f"web.{SVC}", "AAAA", "NOERROR", id="no-such-type"),
    pytest.param(SVC, "A", "NOERROR", id="namespace"),
    pytest.param("empty.svc.cluster.local", "A", "NOERROR", id="namespace-without-services"),
    pytest.param("empty.pod.cluster.local", "A", "NOERROR", id="pods-of-a-namespace"),
    pytest.param("svc.cluster.local", "A", "NOERROR", id="branch"),
    pytest.param(f"_tcp.web.{SVC}", "SRV", "NOERROR", id="between-names"),
    pytest.param(f"_tcp.web.{SVC}", "TYPE0", "NOERROR", id="type-zero"),
    pytest.param(f"nope.{SVC}", "A", "NXDOMAIN", id="no-such-service"),
    pytest.param(f"10-244-0-5.db.{SVC}", "A", "NXDOMAIN", id="endpoint-not-ready"),
    pytest.param("web.nowhere.svc.cluster.local", "A", "NXDOMAIN", id="no-such-namespace"),
    pytest.param("10-1-2-3.nowhere.pod.cluster.local", "A", "NXDOMAIN", id="pod-of-no-namespace"),
    pytest.param("10-1-2-300.default.pod.cluster.local", "A", "NXDOMAIN", id="pod-without-address"),
    pytest.param("example.com.default.svc.cluster.local", "A", "NXDOMAIN", id="search-path"),
    pytest.param("9.9.96.10.in-addr.arpa", "PTR", "NXDOMAIN", id="unclaimed-address"),
    pytest.param("x.96.10.in-addr.arpa", "PTR", "NXDOMAIN", id="no-address-in-our-range"),
])
def test_absence_is_told_apart_and_never_forwarded(server: Server, name: str, kind: str, rcode: str) -> None:
    answer = ask(server, name, kind)
    assert dns.rcode.to_text(answer.rcode()) == rcode
    assert not answer.answer
    assert answer.authority[0][0].minimum == 5


@pytest.mark.parametrize("name", ["example.com", "local", "1.1.1.1.in-addr.arpa", "10.in-addr.arpa", "xcluster.local",
                                  f"away.{SVC}"])
def test_names_elsewhere_are_left_to_upstream(server: Server, name: str) -> None:
    assert isinstance(server.answer(dns.message.make_query(name, "A").to_wire()), tuple)


def test_question_comes_back_as_it_was_spelled(server: Server) -> None:
    answer = ask(server, f"wEb.{SVC.upper()}")
    assert answer.question[0].name.to_text() == f"wEb.{SVC.upper()}."
    assert answer.answer[0].name.to_text().startswith("wEb.")


def test_srv_brings_the_addresses_of_its_targets(server: Server) -> None:
    answer = ask(server, f"_http._tcp.db.{SVC}", "SRV")
    assert {data.to_text() for rrset in answer.additional for data in rrset} == {
        "10.244.0.3", "10.244.0.4", "2001:db8::3"}


def test_several_addresses_take_turns_at_the_front(server: Server) -> None:
    query = dns.message.make_query(f"db.{SVC}", "A").to_wire()
    server.answer(query)
    turns = server._kept[query[2:]]
    first = {dns.message.from_wire(query[:2] + next(turns)).answer[0][0].to_text() for _ in range(4)}
    assert first == {"10.244.0.3", "10.244.0.4"}


def test_alias_that_leads_to_itself_fails(server: Server) -> None:
    assert ask(server, f"loop.{SVC}").rcode() == dns.rcode.SERVFAIL


def test_any_is_answered_with_next_to_nothing(server: Server) -> None:
    answer = ask(server, f"web.{SVC}", "ANY")
    assert [rrset.rdtype for rrset in answer.answer] == [wire.HINFO]


def test_other_classes_opcodes_and_edns_versions_are_refused(server: Server) -> None:
    assert ask(server, f"web.{SVC}", rdclass="CH").rcode() == dns.rcode.REFUSED
    assert ask(server, f"web.{SVC}", use_edns=1).rcode() == dns.rcode.BADVERS
    update = dns.message.make_query(f"web.{SVC}", "A")
    update.set_opcode(dns.opcode.STATUS)
    reply = server.answer(update.to_wire())
    assert isinstance(reply, bytes)
    assert dns.message.from_wire(reply).rcode() == dns.rcode.NOTIMP


def test_answers_that_do_not_fit_a_datagram_send_the_client_to_tcp() -> None:
    answerer = Answerer("cluster.local", [])
    server = Server(answerer, Upstream(list, FakeClock()))
    name = "big.default.svc.cluster.local"
    answerer.zone.put("big", [Record(name, wire.A, bytes([10, 0, 0, n])) for n in range(100)])
    plain, wide = (dns.message.make_query(name, "A", **o) for o in ({}, {"use_edns": 0, "payload": 4096}))
    for query, limit in ((plain, 512), (wide, 1232)):
        reply = server.answer(query.to_wire())
        assert isinstance(reply, bytes)
        assert len(reply) <= limit
        assert dns.message.from_wire(reply).flags & dns.flags.TC
    whole = server.answer(plain.to_wire(), stream=True)
    assert isinstance(whole, bytes)
    assert len(dns.message.from_wire(whole).answer[0]) == 100


def test_reply_is_never_replied_to(server: Server) -> None:
    query = bytearray(dns.message.make_query(f"web.{SVC}", "A").to_wire())
    query[2] |= 0x80
    assert server.answer(bytes(query)) is None
    assert server.answer(b"\0" * 11) is None


def test_follower_forgets_what_is_gone() -> None:
    answerer = Answerer("cluster.local", [])
    server = Server(answerer, Upstream(list, FakeClock()))
    services, slices = HandMirror(service("db", "None")), HandMirror(slice_of("db", endpoint("10.244.0.3")))
    Follower(answerer, server).follow(services, slices, HandMirror(namespace("default")))
    assert ask(server, f"db.{SVC}").answer
    slices.remove("default/db-1")
    assert ask(server, f"db.{SVC}").rcode() == dns.rcode.NXDOMAIN
    slices.put(slice_of("db", endpoint("10.244.0.4")))
    assert said(ask(server, f"db.{SVC}")) == {f"db.{SVC}. 10.244.0.4"}
    services.remove("default/db")
    assert ask(server, f"db.{SVC}").rcode() == dns.rcode.NXDOMAIN


@settings(deadline=None)
@given(st.binary(max_size=600))
def test_no_bytes_make_it_fail(data: bytes) -> None:
    server = Server(Answerer("cluster.local", []), Upstream(list, FakeClock()))
    for stream in (False, True):
        reply = server.answer(data, stream=stream)
        assert not isinstance(reply, bytes) or (reply[:2] == data[:2] and len(reply) <= len(data) + 512)


@settings(deadline=None)
@given(st.data())
def test_no_damage_to_a_query_makes_it_fail(data: st.DataObject) -> None:
    server = Server(Answerer("cluster.local", [ipaddress.IPv4Network("10.96.0.0/16")]), Upstream(list, FakeClock()))
    name = data.draw(st.sampled_from(["cluster.local", "dns-version.cluster.local", "1.0.96.10.in-addr.arpa", "."]))
    query = bytearray(dns.message.make_query(name, data.draw(st.integers(0, 300)), use_edns=data.draw(
        st.sampled_from([False, 0, 1]))).to_wire())
    for _ in range(data.draw(st.integers(0, 4))):
        query[data.draw(st.integers(0, len(query) - 1))] = data.draw(st.integers(0, 255))
    server.answer(bytes(query[: data.draw(st.integers(0, len(query)))]))


labels = st.text("abc", min_size=1, max_size=2)
names = st.lists(labels, min_size=1, max_size=4).map(".".join)
records = st.sets(st.builds(Record, names, st.sampled_from([0, 1, 16]), st.sampled_from([b"x", b"y"])), max_size=6)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("pqr"), records), max_size=8))
def test_zone_that_changed_is_like_one_made_anew(history: list[tuple[str, set[Record]]]) -> None:
    changed, last = Zone(), dict[str, set[Record]]()
    for contributor, given_records in history:
        changed.put(contributor, given_records)
        last[contributor] = given_records
    present = set().union(*last.values()) if last else set()
    everything = {record.name for _, mine in history for record in mine}
    for name in everything | {above for each in everything for above in ancestors(each)}:
        expected = {(r.type, r.data) for r in present if r.name == name}
        found = changed.at(name)
        exists = bool(expected) or any(r.name.endswith("." + name) for r in present)
        assert (found is not None) == exists
        assert {(kind, data) for kind, datas in (found or {}).items() for data in datas} == expected
