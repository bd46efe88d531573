"""Names of images, short and long."""

from __future__ import annotations

import pytest

from timonier.node.cri.references import InvalidReference, floats, normalise, tagged

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(("short", "full"), [
    ("nginx", "docker.io/library/nginx:latest"),
    ("nginx:1.27", "docker.io/library/nginx:1.27"),
    ("team/app", "docker.io/team/app:latest"),
    ("ghcr.io/team/app:v1", "ghcr.io/team/app:v1"),
    ("localhost/app", "localhost/app:latest"),
    ("localhost:5000/app:1", "localhost:5000/app:1"),
    ("index.docker.io/nginx", "docker.io/library/nginx:latest"),
    (f"nginx@{DIGEST}", f"docker.io/library/nginx@{DIGEST}"),
    (f"nginx:1@{DIGEST}", f"docker.io/library/nginx:1@{DIGEST}"),
    ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
])
def test_short_names_mean_full_ones(short: str, full: str) -> None:
    assert normalise(short) == full
    assert normalise(full) == full


@pytest.mark.parametrize("bad", ["", "Nginx", "a//b", "nginx:", "nginx:bad tag", "nginx@sha256:short", "../etc", "-x",
                                 "a b", "http://x/y"])
def test_what_is_no_reference_is_refused(bad: str) -> None:
    with pytest.raises(InvalidReference):
        normalise(bad)


def test_tag_is_added_and_the_rest_kept_as_written() -> None:
    assert tagged("nginx") == "nginx:latest"
    assert tagged("nginx:1") == "nginx:1"
    assert tagged(f"nginx@{DIGEST}") == f"nginx@{DIGEST}"


def test_only_latest_floats() -> None:
    assert floats("nginx")
    assert floats("nginx:latest")
    assert not floats("nginx:1")
    assert not floats(f"nginx@{DIGEST}")
