"""Translation between v5.channel.k8s.io and SPDY, without any network."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timonier.kit.streaming import spdy, websocket
from timonier.kit.streaming.spdy import Spdy
from timonier.kit.streaming.websocket import Close, Data, Pong, WebSocket
from timonier.node.kubelet.server.channels import (
    CLOSE,
    ERROR,
    RESIZE,
    STDERR,
    STDIN,
    STDOUT,
    Channels,
    Tunnel,
    wanted,
)

SUCCESS = b'{"status":"Success"}'


class World:
    """A session between a client and a runtime, both played by the test."""

    def __init__(self, *channels: int) -> None:
        self.session = Channels(channels)
        self.client, self.runtime = WebSocket(client=True), Spdy(client=False)
        opened = self.runtime.receive(self.session.open())
        self.types = [event.headers["streamtype"] for event in opened]  # type: ignore[union-attr]
        self.stream = {channel: event.stream for channel, event in zip(channels, opened, strict=True)}
        self.received: dict[int, bytes] = {}
        self.others: list[object] = []
        self.over = False

    def accept(self) -> World:
        for stream in self.stream.values():
            self._take(self.session.from_runtime(self.runtime.reply(stream)))
        return self

    def from_client(self, *messages: bytes) -> list[spdy.Event]:
        return self._take(self.session.from_client(b"".join(self.client.message(each) for each in messages)))

    def from_runtime(self, channel: int, payload: bytes, *, fin: bool = False) -> None:
        self._take(self.session.from_runtime(self.runtime.data(self.stream[channel], payload, fin=fin)))

    def _take(self, moved) -> list[spdy.Event]:
        self.over = self.over or moved.over
        for event in self.client.receive(moved.to_one):
            if isinstance(event, Data):
                channel = event.payload[0]
                self.received[channel] = self.received.get(channel, b"") + event.payload[1:]
            else:
                self.others.append(event)
        return self.runtime.receive(moved.to_other)


@pytest.mark.parametrize(("flags", "types"), [
    pytest.param({"stdout": True}, ["error", "stdout"], id="output"),
    pytest.param({"stdin": True, "stdout": True, "stderr": True}, ["error", "stdin", "stdout", "stderr"], id="all"),
    pytest.param({"stdin": True, "stdout": True, "stderr": True, "tty": True}, ["error", "stdin", "stdout", "resize"],
                 id="a-terminal-has-a-size-and-no-stderr"),
])
def test_a_stream_is_opened_for_each_channel_that_is_wanted(flags, types):
    given_flags = {"stdin": False, "stdout": False, "stderr": False, "tty": False} | flags
    assert World(*wanted(**given_flags)).types == types


def test_a_session_is_ready_when_the_runtime_has_accepted_every_stream():
    world = World(ERROR, STDIN, STDOUT)
    assert not world.session.ready
    world.accept()
    assert world.session.ready


def test_input_and_size_reach_the_runtime_on_their_own_streams():
    world = World(ERROR, STDIN, STDOUT, RESIZE).accept()
    assert world.from_client(b"\0hello", b'\4{"Width":80}') == [
        spdy.Data(world.stream[STDIN], b"hello", False), spdy.Data(world.stream[RESIZE], b'{"Width":80}', False)]


def test_closing_the_channel_of_input_ends_its_stream_alone():
    world = World(ERROR, STDIN, STDOUT).accept()
    assert world.from_client(bytes((CLOSE, STDIN))) == [spdy.Data(world.stream[STDIN], b"", True)]
    assert world.from_client(bytes((CLOSE, STDIN)), b"\0more") == []
    world.from_runtime(STDOUT, b"still here")
    assert world.received[STDOUT] == b"still here"


def test_what_a_client_may_not_send_is_ignored():
    world = World(ERROR, STDOUT).accept()
    assert world.from_client(b"\0no stdin here", b"\1out", b"\3error", b"\x09what", bytes((CLOSE, STDOUT)), b"") == []
    assert not world.over


def test_output_reaches_the_client_and_the_session_ends_after_the_last_of_it():
    world = World(ERROR, STDOUT, STDERR).accept()
    world.from_runtime(STDOUT, b"out")
    world.from_runtime(ERROR, SUCCESS, fin=True)
    world.from_runtime(STDERR, b"err", fin=True)
    assert not world.over
    world.from_runtime(STDOUT, b"more", fin=True)
    assert world.over
    assert world.received == {STDOUT: b"outmore", STDERR: b"err", ERROR: SUCCESS}
    assert world.others == [Close(1000)]


def test_streams_that_the_runtime_resets_are_ended():
    world = World(ERROR, STDOUT).accept()
    world.from_runtime(ERROR, SUCCESS)
    for channel in (ERROR, STDOUT):
        world._take(world.session.from_runtime(world.runtime.reset(world.stream[channel], spdy.Reset.CANCEL)))
    assert world.over
    assert world.others == [Close(1000)]


def test_a_runtime_that_says_nothing_of_the_end_is_a_failure_not_a_success():
    world = World(ERROR, STDOUT).accept()
    world._take(world.session.from_runtime(b""))
    assert world.over
    assert json.loads(world.received[ERROR])["status"] == "Failure"
    assert world.others == [Close(1000)]


def test_a_runtime_that_breaks_the_protocol_is_a_failure():
    world = World(ERROR, STDOUT).accept()
    world._take(world.session.from_runtime(b"\x80\x09garbage"))
    assert "broke the protocol" in json.loads(world.received[ERROR])["message"]


def test_pings_are_answered_on_either_side():
    world = World(ERROR, STDOUT).accept()
    world._take(world.session.from_client(world.client.ping(b"1")))
    assert world.others == [Pong(b"1")]
    assert world.session.from_runtime(world.runtime.ping(2)).to_other == world.runtime.ping(2)


def test_a_client_that_closes_or_leaves_or_errs_ends_the_session():
    world = World(ERROR, STDOUT).accept()
    world._take(world.session.from_client(world.client.close()))
    assert (world.over, world.others) == (True, [Close(1000)])
    assert World(ERROR, STDOUT).session.from_client(b"").over
    assert World(ERROR, STDOUT).session.from_client(b"\xff\xff").over


def test_streams_that_the_runtime_opens_are_refused_with_all_they_carry():
    world = World(ERROR, STDOUT).accept()
    stream, frame = world.runtime.open({})
    moved = world.session.from_runtime(frame + world.runtime.data(stream, b"unasked", fin=True))
    assert moved.to_one == b""
    assert world.runtime.receive(moved.to_other) == [spdy.StreamReset(stream, spdy.Reset.REFUSED_STREAM)]


@given(st.binary(max_size=200), st.booleans())
def test_noise_from_either_side_never_does_worse_than_ending_the_session(noise, framed):
    world = World(ERROR, STDIN, STDOUT).accept()
    world.session.from_client(world.client.message(noise) if framed else noise)
    world = World(ERROR, STDIN, STDOUT).accept()
    world.session.from_runtime(spdy.control(spdy.Type.SYN_REPLY, noise) if framed else noise)


@given(st.binary(max_size=400), st.integers(1, 50))
def test_a_message_may_come_in_any_pieces(payload, size):
    world = World(ERROR, STDIN, STDOUT).accept()
    wire = world.client.message(b"\0" + payload)
    received = b""
    for start in range(0, len(wire), size):
        moved = world.session.from_client(wire[start:start + size])
        received += b"".join(event.payload for event in world.runtime.receive(moved.to_other)
                             if isinstance(event, spdy.Data))
    assert received == payload


def test_a_tunnel_unwraps_and_wraps_and_answers_pings():
    tunnel, client = Tunnel(), WebSocket(client=True)
    moved = tunnel.from_client(client.message(b"abc") + client.ping(b"?") + client.message(b"def"))
    assert moved.to_other == b"abcdef"
    assert client.receive(moved.to_one) == [Pong(b"?")]
    assert client.receive(tunnel.from_runtime(b"xyz").to_one) == [Data(b"xyz", True, True)]


def test_a_tunnel_ends_with_either_side():
    client = WebSocket(client=True)
    assert Tunnel().from_client(b"").over
    assert Tunnel().from_client(b"\xff\xff").over
    ended = Tunnel().from_client(client.message(b"last") + client.close())
    assert (ended.to_other, ended.over) == (b"last", True)
    ended = Tunnel().from_runtime(b"")
    assert ended.over
    assert websocket.WebSocket(client=True).receive(ended.to_one) == [Close(1000)]
