"""What the controllers are told is checked before they start."""

import re
from pathlib import Path

import pytest

from timonier.controllers.settings import ControllerSettings
from timonier.kit.settings import parse

FILE = Path("/etc/timonier/controllers.kubeconfig")


def test_defaults_are_those_of_kubernetes():
    settings = parse(ControllerSettings, ["--kubeconfig", str(FILE)], program="timonier controllers")
    assert (settings.node_monitor_grace_period, settings.terminated_pod_gc_threshold) == (40.0, 12500)
    assert (settings.cluster_cidr, settings.node_cidr_mask_size) == ("10.244.0.0/16", 24)


@pytest.mark.parametrize(("wrong", "complaint"), [
    pytest.param({"cluster_cidr": "10.244.0.0/99"}, "--cluster-cidr", id="no-range"),
    pytest.param({"node_cidr_mask_size": 8}, "--node-cidr-mask-size must be between 16 and 32", id="larger-than-all"),
    pytest.param({"node_monitor_grace_period": 0.0}, "must be positive", id="no-grace"),
    pytest.param({"log_level": "loud"}, "--log-level", id="unknown-level"),
])
def test_what_cannot_work_is_refused(wrong, complaint):
    with pytest.raises(ValueError, match=re.escape(complaint)):
        ControllerSettings(FILE, **wrong)
