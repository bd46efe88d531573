"""JSONPath as kubectl reads it, by examples of the documentation of both."""

from __future__ import annotations

import pytest

from timonier.api.jsonpath import BadPath, NotFound, compiled

POD = {
    "metadata": {"name": "web", "labels": {"example.com/app": "web"}},
    "spec": {"containers": [{"name": "a", "image": "x", "ports": [{"port": 80}, {"port": 443}]},
                            {"name": "b", "image": "y", "ready": True}]},
    "status": {"conditions": [{"type": "Ready", "status": "True", "age": 3},
                              {"type": "Other", "status": "False", "age": 5}]}}


@pytest.mark.parametrize(("path", "expected"), [
    (".metadata.name", ["web"]),
    ("$.metadata.name", ["web"]),
    (".metadata.nothing.at.all", []),
    (r".metadata.labels.example\.com/app", ["web"]),
    (r".metadata.labels['example\.com/app']", ["web"]),
    (".spec.containers[*].name", ["a", "b"]),
    (".spec.containers[0].name", ["a"]),
    (".spec.containers[-1].name", ["b"]),
    (".spec.containers[0:2].image", ["x", "y"]),
    (".spec.containers[0:2:2].image", ["x"]),
    (".spec.containers[1,0].image", ["y", "x"]),
    (".spec.containers[0]['name','image']", ["a", "x"]),
    (".spec.containers[*].ports[*].port", [80, 443]),
    ("..port", [80, 443]),
    (".metadata.*", ["web", {"example.com/app": "web"}]),
    ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
    (".status.conditions[?(@.type=='Ready')].status", ["True"]),
    ('.status.conditions[?(@.type!="Ready")].status', ["False"]),
    (".status.conditions[?(@.age>3)].type", ["Other"]),
    (".status.conditions[?(@.age<=3)].type", ["Ready"]),
    (".spec.containers[?(@.ready)].name", ["b"]),
    (".spec.containers[?(@.ready==true)].name", ["b"]),
    ('.status.conditions[?(@.type==")]")].status', []),
])
def test_paths_find(path: str, expected: list[object]) -> None:
    assert compiled(path)(POD) == expected


@pytest.mark.parametrize("path", [".a[", ".a[x]", '.a[?(@.b=="c"]', '.a[?(@.b=="c")', ".a[::0]", ".a[?(@.b=<1)]"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(BadPath):
        compiled(path)


@pytest.mark.parametrize("path", [".spec.containers[5]", ".metadata[0]", '.metadata[?(@.a=="b")]',
                                  ".status.conditions[?(@.type>3)]"])
def test_paths_that_do_not_fit_find_nothing_and_say_so(path: str) -> None:
    with pytest.raises(NotFound):
        compiled(path)(POD)
