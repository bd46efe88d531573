"""SPDY/3.1 framing: streams survive any fragmentation, halves close apart, and what is not SPDY is refused."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timonier.kit.streaming.dictionary import HEADER_DICTIONARY
from timonier.kit.streaming.spdy import (
    CONTROL_LIMIT,
    HEADERS_LIMIT,
    STREAM_LIMIT,
    Data,
    Event,
    GoAway,
    Ping,
    Reset,
    Spdy,
    SpdyError,
    StreamOpened,
    StreamReplied,
    StreamReset,
    Type,
    control,
)

names = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=20)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


def pair() -> tuple[Spdy, Spdy]:
    return Spdy(client=True), Spdy(client=False)


def test_the_dictionary_is_the_one_of_the_specification():
    assert (len(HEADER_DICTIONARY), zlib.adler32(HEADER_DICTIONARY)) == (1423, 0xE3C6A7C2)


def test_a_stream_is_opened_answered_used_and_closed_by_halves():
    client, server = pair()
    stream, wire = client.open({"streamType": "stdin"})
    assert server.receive(wire) == [StreamOpened(1, {"streamtype": "stdin"}, False)]
    assert client.receive(server.reply(stream)) == [StreamReplied(1, {}, False)]
    assert server.receive(client.data(stream, b"hello", fin=True)) == [Data(1, b"hello", True)]
    assert client.data(stream, b"after the end") == b""
    assert (client.streams, server.streams) == (1, 1)
    assert client.receive(server.data(stream, b"", fin=True)) == [Data(1, b"", True)]
    assert (client.streams, server.streams) == (0, 0)


def test_either_end_opens_streams_with_numbers_of_its_own():
    client, server = pair()
    assert [client.open({})[0], client.open({})[0]] == [1, 3]
    assert [server.open({})[0], server.open({})[0]] == [2, 4]


def test_a_reset_ends_both_halves_and_bytes_that_crossed_it_are_dropped():
    client, server = pair()
    stream, wire = client.open({})
    server.receive(wire)
    crossed = client.data(stream, b"on its way")
    assert client.receive(server.reset(stream, Reset.REFUSED_STREAM)) == [StreamReset(1, 3)]
    assert server.receive(crossed) == []
    assert client.data(stream, b"more") == b""


def test_pings_of_the_peer_are_reported_and_answers_to_ours_are_not():
    client, server = pair()
    assert server.receive(client.ping()) == [Ping(1)]
    assert client.receive(server.ping(1)) == []


def test_going_away_names_the_last_stream_that_was_taken():
    client, server = pair()
    server.receive(client.open({})[1])
    assert client.receive(server.go_away()) == [GoAway(1, 0)]


def test_settings_window_updates_and_unknown_frames_say_nothing():
    wire = (control(Type.SETTINGS, struct.pack(">I", 0)) + control(Type.WINDOW_UPDATE, bytes(8))
            + struct.pack(">HHI", 0x8003, 99, 3) + b"???")
    assert Spdy(client=False).receive(wire) == []


@given(st.lists(st.dictionaries(names, texts, max_size=6), min_size=1, max_size=5))
def test_headers_arrive_as_they_were_sent_one_block_after_another(blocks):
    client, server = pair()
    wire = b"".join(client.open(block)[1] for block in blocks)
    assert [event.headers for event in server.receive(wire)] == blocks  # type: ignore[union-attr]


@given(st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=5000)), max_size=12), st.integers(1, 400))
def test_bytes_arrive_in_order_on_their_own_stream_however_the_wire_is_split(sent, size):
    client, server = pair()
    streams, wire = [], b""
    for _ in range(4):
        stream, opened = client.open({"a": "b"})
        streams.append(stream)
        wire += opened
    wire += b"".join(client.data(streams[index], payload) for index, payload in sent)
    wire += b"".join(client.data(stream, b"", fin=True) for stream in streams)
    events: list[Event] = []
    for start in range(0, len(wire), size):
        events += server.receive(wire[start:start + size])
    for index, stream in enumerate(streams):
        mine = [event for event in events if isinstance(event, Data) and event.stream == stream]
        assert b"".join(event.payload for event in mine) == b"".join(p for at, p in sent if at == index)
        assert [event.fin for event in mine] == [False] * (len(mine) - 1) + [True]


def test_a_long_data_frame_passes_in_pieces_so_that_nothing_piles_up():
    client, server = pair()
    stream, wire = client.open({})
    server.receive(wire)
    frame = client.data(stream, b"x" * 1_000_000, fin=True)
    assert server.receive(frame[:500_000]) == [Data(1, b"x" * (500_000 - 8), False)]
    assert len(server._buffer) == 0
    assert server.receive(frame[500_000:]) == [Data(1, b"x" * 500_008, True)]


def with_headers(block: bytes, **options: bool) -> bytes:
    pack = zlib.compressobj(zdict=HEADER_DICTIONARY)
    packed = pack.compress(block) + pack.flush(zlib.Z_SYNC_FLUSH)
    return control(Type.SYN_STREAM, struct.pack(">IIH", 1, 0, 0) + packed)


@pytest.mark.parametrize("wire", [
    pytest.param(struct.pack(">HHI", 0x8002, 1, 0), id="older-version"),
    pytest.param(struct.pack(">HHI", 0x8003, 1, CONTROL_LIMIT + 1), id="control-frame-too-long"),
    pytest.param(control(Type.SYN_STREAM, b"\0"), id="too-short"),
    pytest.param(control(Type.RST_STREAM, bytes(4)), id="reset-without-status"),
    pytest.param(control(Type.SYN_STREAM, struct.pack(">IIH", 1, 0, 0) + b"not zlib"), id="not-compressed"),
    pytest.param(control(Type.SYN_STREAM, struct.pack(">IIH", 1, 0, 0) + zlib.compress(bytes(4))),
                 id="without-dictionary"),
    pytest.param(with_headers(struct.pack(">I", 7)), id="headers-that-end-too-soon"),
    pytest.param(with_headers(struct.pack(">II", 0xFFFFFFFF, 0xFFFFFFFF)), id="headers-that-lie"),
    pytest.param(with_headers(bytes(HEADERS_LIMIT * 2)), id="headers-that-explode"),
    pytest.param(control(Type.SYN_STREAM, struct.pack(">IIH", 2, 0, 0) + with_headers(bytes(4))[18:]),
                 id="number-of-the-other-end"),
])
def test_what_breaks_the_protocol_is_refused(wire):
    with pytest.raises(SpdyError):
        Spdy(client=False).receive(wire)


def test_a_stream_number_is_used_once():
    client, server = pair()
    server.receive(client.open({})[1])
    again = Spdy(client=True)
    with pytest.raises(SpdyError):
        server.receive(again.open({})[1])


def test_streams_that_are_open_at_once_are_limited():
    client, server = pair()
    for _ in range(STREAM_LIMIT):
        server.receive(client.open({})[1])
    with pytest.raises(SpdyError):
        server.receive(client.open({})[1])


@given(st.binary(max_size=300), st.booleans(), st.booleans())
def test_no_bytes_do_worse_than_being_refused(noise, client, as_control):
    connection = Spdy(client=client)
    connection.open({"a": "b"})
    wire = b"\x80\x03\0" + noise if as_control else noise
    try:
        for start in range(0, len(wire), 3):
            connection.receive(wire[start:start + 3])
    except SpdyError:
        pass
