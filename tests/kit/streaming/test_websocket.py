"""WebSocket framing: messages survive any fragmentation, and what is not WebSocket is refused."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timonier.kit.streaming.websocket import (
    PROTOCOL_ERROR,
    Close,
    Data,
    Event,
    Opcode,
    Ping,
    Pong,
    WebSocket,
    WebSocketError,
    accept_key,
    frame,
    mask,
)

payloads = st.binary(max_size=70_000) | st.sampled_from([b"", b"x" * 125, b"x" * 126, b"x" * 65535, b"x" * 65536])


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def messages(events: list[Event]) -> list[bytes]:
    """Whole messages put together from their pieces; every piece must say truly whether it starts and ends one."""
    whole: list[bytes] = []
    inside = False
    for event in events:
        assert isinstance(event, Data)
        assert event.starts is not inside
        if event.starts:
            whole.append(b"")
        whole[-1] += event.payload
        inside = not event.ends
    assert not inside
    return whole


@given(st.lists(payloads, max_size=4), st.lists(st.integers(0), max_size=8), st.booleans())
def test_messages_arrive_whole_however_the_bytes_are_split(sent, cuts, from_client):
    sender, receiver = WebSocket(client=from_client), WebSocket(client=not from_client)
    wire = b"".join(sender.message(payload) for payload in sent)
    events = [event for piece in in_pieces(wire, cuts) for event in receiver.receive(piece)]
    assert messages(events) == sent


def test_a_message_split_at_every_byte_is_the_same_message():
    wire = WebSocket(client=True).message(b"hello world" * 20)
    receiver = WebSocket()
    events = [event for byte in wire for event in receiver.receive(bytes((byte,)))]
    assert messages(events) == [b"hello world" * 20]


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5))
def test_fragments_are_one_message_even_with_pings_between(fragments):
    key = b"\1\2\3\4"
    wire = b""
    for index, fragment in enumerate(fragments):
        opcode = Opcode.BINARY if index == 0 else Opcode.CONTINUATION
        whole = frame(opcode, fragment, masked=False)
        header = bytes((whole[0] & (0x7F if index < len(fragments) - 1 else 0xFF), whole[1] | 0x80))
        rest = whole[2:len(whole) - len(fragment)]
        wire += header + rest + key + mask(fragment, key)
        wire += WebSocket(client=True).ping(b"still there?")
    events = WebSocket().receive(wire)
    assert [event for event in events if isinstance(event, Ping)] == [Ping(b"still there?")] * len(fragments)
    assert messages([event for event in events if not isinstance(event, Ping)]) == [b"".join(fragments)]


def test_a_long_message_passes_in_pieces_so_that_nothing_piles_up():
    wire = WebSocket(client=True).message(b"a" * 1_000_000)
    receiver = WebSocket()
    assert receiver.receive(wire[:100_000])[0] == Data(b"a" * (100_000 - 14), True, False)
    assert len(receiver._buffer) == 0


def test_ping_pong_and_close_travel_both_ways():
    client, server = WebSocket(client=True), WebSocket()
    assert server.receive(client.ping(b"1") + client.close(1000, "bye")) == [Ping(b"1"), Close(1000, "bye")]
    assert client.receive(server.pong(b"1") + server.close()) == [Pong(b"1"), Close(1000)]


def test_what_follows_a_close_is_ignored():
    client, server = WebSocket(client=True), WebSocket()
    assert server.receive(client.close() + client.message(b"too late")) == [Close(1000)]
    assert server.receive(client.message(b"later still")) == []


def test_a_close_reason_is_cut_between_characters():
    server = WebSocket()
    close = WebSocket(client=True).receive(server.close(1011, "é" * 100))
    assert close == [Close(1011, "é" * 61)]


@pytest.mark.parametrize("wire", [
    pytest.param(b"\xc2\x80\0\0\0\0", id="reserved-bits"),
    pytest.param(b"\x82\x01a", id="client-that-does-not-mask"),
    pytest.param(b"\x83\x80\0\0\0\0", id="unknown-opcode"),
    pytest.param(b"\x80\x80\0\0\0\0", id="continuation-of-nothing"),
    pytest.param(b"\x09\x80\0\0\0\0", id="fragmented-ping"),
    pytest.param(b"\x89\xfe\0\x7e\0\0\0\0", id="long-ping"),
    pytest.param(b"\x88\x81\0\0\0\0\0", id="half-a-close-code"),
    pytest.param(b"\x02\x80\0\0\0\0\x82\x80\0\0\0\0", id="message-inside-a-message"),
    pytest.param(b"\x82\xff" + b"\xff" * 8 + b"\0\0\0\0", id="impossible-length"),
])
def test_what_breaks_the_protocol_is_refused_with_a_code(wire):
    with pytest.raises(WebSocketError) as caught:
        WebSocket().receive(wire)
    assert caught.value.code == PROTOCOL_ERROR


@given(st.binary(max_size=400), st.booleans())
def test_no_bytes_do_worse_than_being_refused(noise, client):
    socket = WebSocket(client=client)
    try:
        for byte in noise:
            socket.receive(bytes((byte,)))
    except WebSocketError:
        pass


@given(st.binary(max_size=1000), st.binary(min_size=4, max_size=4))
def test_masking_is_xor_with_the_repeated_key(payload, key):
    assert mask(payload, key) == bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))


def test_the_accept_key_is_that_of_the_rfc():
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
