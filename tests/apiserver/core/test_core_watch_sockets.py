"""Watches over a WebSocket, as a browser has them: each event is a message."""

from __future__ import annotations

import json

import pytest
from support.api_server import Cluster, FakeTaken, config

from timonier.api.protobuf import MEDIA_TYPE as PROTOBUF
from timonier.api.protobuf.decode import decoder
from timonier.kit.streaming.websocket import Close, Data, WebSocket

CONFIGS = "/api/v1/namespaces/default/configmaps"
SOCKET = {"connection": "Upgrade", "upgrade": "websocket", "sec_websocket_key": "dGhlIHNhbXBsZSBub25jZQ=="}


def received(taken: FakeTaken) -> list[Data | Close]:
    _, _, rest = bytes(taken.data).partition(b"\r\n\r\n")
    return WebSocket(client=True).receive(rest)  # type: ignore[return-value]


async def test_a_watch_over_a_websocket(cluster: Cluster) -> None:
    await cluster.post(CONFIGS, config("a"))
    watch = await cluster.watch(f"{CONFIGS}?watch=1", **SOCKET, sec_websocket_protocol="base64.binary.k8s.io, other")
    head = watch.head.lower()
    assert head.startswith(b"http/1.1 101 switching protocols")
    assert b"sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=" in head
    assert b"sec-websocket-protocol: base64.binary.k8s.io\r\n" in head + b"\r\n"
    await cluster.post(CONFIGS, config("b"))
    await cluster.delete(f"{CONFIGS}/a")
    await cluster.settle()
    events = [json.loads(message.payload) for message in received(watch) if isinstance(message, Data) and message.text]
    assert [(event["type"], event["object"]["metadata"]["name"]) for event in events] == [
        ("ADDED", "a"), ("ADDED", "b"), ("DELETED", "a")]


async def test_in_protobuf_a_message_has_no_length_before_it(cluster: Cluster) -> None:
    await cluster.post(CONFIGS, config("a"))
    watch = await cluster.watch(f"{CONFIGS}?watch=1", **SOCKET, accept=PROTOBUF)
    message, = received(watch)
    assert isinstance(message, Data)
    assert not message.text
    event = decoder("io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent")(message.payload)
    assert (event["type"], event["object"]["kind"]) == ("ADDED", "ConfigMap")


async def test_it_ends_when_the_client_says_so_and_answers_pings_until_then(cluster: Cluster) -> None:
    watch = await cluster.watch(f"{CONFIGS}?watch=1", **SOCKET)
    client = WebSocket(client=True)
    watch.feed(client.ping(b"there?"))
    await cluster.settle()
    assert watch.data.endswith(b"\x8a\x06there?")
    watch.feed(client.message(b"who reads this?"))
    await cluster.settle()
    assert watch.open
    watch.feed(client.close())
    await cluster.settle()
    assert not watch.open
    assert isinstance(received(watch)[-1], Close)


async def test_a_handshake_without_a_key_is_refused(cluster: Cluster) -> None:
    refused = await cluster.get(f"{CONFIGS}?watch=1", connection="Upgrade", upgrade="websocket")
    assert refused.code == 400


@pytest.mark.parametrize("junk", [b"\x00" * 20, b"\xff\xff\xff\xff"])
async def test_who_does_not_speak_websocket_is_cut_off(cluster: Cluster, junk: bytes) -> None:
    watch = await cluster.watch(f"{CONFIGS}?watch=1", **SOCKET)
    watch.feed(junk)
    await cluster.settle()
    assert not watch.open
