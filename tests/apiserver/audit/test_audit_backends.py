"""Where audit events go: files that rotate, and webhooks that are sent batches."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from timonier.apiserver.audit.auditor import auditing
from timonier.apiserver.audit.batch import Batches, Pace
from timonier.apiserver.audit.file import File
from timonier.apiserver.audit.settings import AuditSettings, check
from timonier.kit.clock import FakeClock
from timonier.kit.fatal import CannotRun
from timonier.kit.serve import listen, serve


async def test_a_file_has_an_event_a_line_and_goes_on_where_it_was(tmp_path: Path) -> None:
    for event in (b"1", b"2"):
        file = File(str(tmp_path / "logs" / "audit.log"), 100, 0, 0, FakeClock())
        await file.deliver([event])
        await file.close()
    assert (tmp_path / "logs" / "audit.log").read_bytes() == b"1\n2\n"
    assert os.stat(tmp_path / "logs" / "audit.log").st_mode & 0o777 == 0o600


async def test_a_full_file_is_put_aside_packed_and_in_the_end_removed(tmp_path: Path) -> None:
    clock = FakeClock()
    file = File(str(tmp_path / "audit.log"), 10, 0, 2, clock, compress=True)
    for number in range(5):
        await file.deliver([b"%d-------" % number])
        await file.tidied()
        await clock.advance(1.5)
    await file.close()
    aside = sorted({*os.listdir(tmp_path)} - {"audit.log"})
    assert len(aside) == 2
    assert all(name.startswith("audit-") and name.endswith(".log.gz") for name in aside)
    assert gzip.decompress((tmp_path / aside[-1]).read_bytes()) == b"3-------\n"
    assert (tmp_path / "audit.log").read_bytes() == b"4-------\n"


async def test_what_was_put_aside_is_kept_for_so_many_days(tmp_path: Path) -> None:
    clock = FakeClock()
    old, mine = tmp_path / "audit-2020-01-02T03-04-05.678.log", tmp_path / "audit-notes.log"
    old.write_text("old")
    mine.write_text("mine")
    os.utime(old, (clock.now() - 3 * 86_400,) * 2)
    file = File(str(tmp_path / "audit.log"), 1, 2, 0, clock)
    for event in (b"1", b"2"):
        await file.deliver([event])
    await file.close()
    assert not old.exists()
    assert mine.exists()


class Slow:
    """A sink that takes what it gets when it is let."""

    def __init__(self) -> None:
        self.batches, self.open = list[list[bytes]](), asyncio.Event()
        self.open.set()

    async def deliver(self, events: Sequence[bytes]) -> None:
        await self.open.wait()
        self.batches.append(list(events))


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_events_gather_until_there_are_enough_or_time_is_up() -> None:
    sink, clock = Slow(), FakeClock()
    async with Batches(sink, "test", clock, size=3, wait=30.0) as batches:
        await batches.deliver([b"1", b"2", b"3", b"4"])
        await settle()
        assert sink.batches == [[b"1", b"2", b"3"]]
        await clock.advance(31)
        await settle()
        assert sink.batches[1:] == [[b"4"]]


async def test_what_comes_when_too_much_waits_is_lost_and_said_to_be() -> None:
    sink = Slow()
    sink.open.clear()
    async with Batches(sink, "test", FakeClock(), buffer=2) as batches:
        await batches.deliver([b"1"])
        await settle()
        await batches.deliver([b"2", b"3"])
        with pytest.raises(OSError, match="audit buffer queue blocked"):
            await batches.deliver([b"4"])
        sink.open.set()
    assert sink.batches == [[b"1"], [b"2"], [b"3"]]


def test_a_pace_lets_a_burst_pass_and_then_so_many_a_second() -> None:
    pace = Pace(10.0, 3)
    assert [pace.wait(100.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert pace.wait(100.0) == pytest.approx(0.1)
    assert pace.wait(100.0) == pytest.approx(0.2)
    assert pace.wait(200.0) == 0.0


def policy_file(folder: Path) -> Path:
    file = folder / "policy.yaml"
    file.write_text("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n")
    return file


async def test_a_webhook_gets_lists_of_events_and_gets_them_again_where_it_failed(tmp_path: Path) -> None:
    got, answers = list[Any](), [503, 200]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        got.append(json.loads((await receive())["body"]))
        await send({"type": "http.response.start", "status": answers.pop(0), "headers": []})
        await send({"type": "http.response.body", "body": b""})

    sock = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{sock.getsockname()[1]}/audit"
    server = asyncio.ensure_future(serve(app, [sock]))
    (tmp_path / "hook.kubeconfig").write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "k", "cluster": {"server": url}}], "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}]}))
    settings = AuditSettings(audit_policy_file=policy_file(tmp_path), audit_webhook_mode="blocking",
                             audit_webhook_config_file=tmp_path / "hook.kubeconfig",
                             audit_webhook_initial_backoff=0.0)
    async with auditing(settings, FakeClock()) as auditor:
        assert await auditor.take({"auditID": "x", "kind": "Event"}, strict=True)
    server.cancel()
    await asyncio.gather(server, return_exceptions=True)
    assert [body["items"] for body in got] == [[{"auditID": "x", "kind": "Event"}]] * 2
    assert (got[0]["kind"], got[0]["apiVersion"]) == ("EventList", "audit.k8s.io/v1")


async def test_a_policy_file_that_is_none_keeps_the_server_from_starting(tmp_path: Path) -> None:
    file = policy_file(tmp_path)
    file.write_text("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Everything}]\n")
    with pytest.raises(CannotRun, match=r"the audit policy cannot be used: rules\[0\].level: Unsupported value"):
        async with auditing(AuditSettings(audit_policy_file=file), FakeClock()):
            pass


@pytest.mark.parametrize(("changes", "message"), [
    pytest.param({"audit_log_mode": "fast"}, "--audit-log-mode fast: must be one of", id="mode"),
    pytest.param({"audit_log_path": "x"}, "--audit-policy-file says what is audited", id="no-policy"),
])
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(AuditSettings(**changes))
