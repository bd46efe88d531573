"""Health as text, and settings as JSON."""

from __future__ import annotations

from pathlib import Path

import pytest

from timonier.component.health import report
from timonier.component.metrics import family
from timonier.component.shown import configuration
from timonier.controllers.settings import ControllerSettings
from timonier.kit.settings import parse
from timonier.scheduler.settings import SchedulerSettings

FILE = Path("/etc/timonier/some.pem")


@pytest.mark.parametrize(("wrong", "options", "status", "text"), [
    pytest.param({"ping": ""}, {}, 200, "ok", id="well"),
    pytest.param({"ping": "", "sync": ""}, {"verbose": True}, 200,
                 "[+]ping ok\n[+]sync ok\nreadyz check passed\n", id="well-in-full"),
    pytest.param({"ping": "", "sync": "not yet"}, {}, 500,
                 "[+]ping ok\n[-]sync failed: not yet\nreadyz check failed\n", id="not-well"),
    pytest.param({"ping": "", "sync": "not yet"}, {"excluded": ["sync"]}, 200, "ok",
                 id="asked-without-what-is-wrong"),
])
def test_health_is_ok_or_a_line_a_check(wrong, options, status, text):
    assert report("readyz", wrong, **options) == (status, text)


def test_labels_are_quoted_and_moments_in_milliseconds():
    lines = [*family("m", "gauge", "About m.", [({"name": 'a"b\\\n'}, 2, None), ({}, 0.5, 12.5)])]
    assert lines == ["# HELP m About m.", "# TYPE m gauge", 'm{name="a\\"b\\\\\\n"} 2', "m 0.5 12500"]


def test_settings_are_shown_by_their_flags_names():
    shown = configuration(ControllerSettings(FILE))
    assert (shown["kubeconfig"], shown["node-cidr-mask-size"], shown["root-ca-file"]) == (str(FILE), 24, None)


@pytest.mark.parametrize(("settings", "port"), [(ControllerSettings, 10257), (SchedulerSettings, 10259)])
def test_nothing_is_served_by_default_and_ports_are_those_of_kubernetes(settings, port):
    made = parse(settings, ["--kubeconfig", str(FILE)], program="timonier")
    assert (made.bind_address, made.secure_port) == ("", port)


@pytest.mark.parametrize("settings", [ControllerSettings, SchedulerSettings])
@pytest.mark.parametrize(("wrong", "complaint"), [
    pytest.param({"bind_address": "127.0.0.1"}, "--bind-address needs --tls-cert-file", id="no-certificate"),
    pytest.param({"secure_port": 0}, "--secure-port must be 1 to 65535", id="no-port"),
])
def test_an_endpoint_that_cannot_work_is_refused(settings, wrong, complaint):
    with pytest.raises(ValueError, match=complaint):
        settings(FILE, **wrong)
