"""How a request passes the plugins: in their order, only those that it concerns, twice where that is called for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from support.api_server import pod, running

from timonier.apiserver.admission.contract import CREATE, DELETE, Plugin
from timonier.apiserver.admission.order import ORDER, RBAC, chosen
from timonier.apiserver.admission.plugins import Chain
from timonier.apiserver.request import Attributes, User
from timonier.kit.fatal import CannotRun

ANN = User("ann")


class Recorder(Plugin):
    def __init__(self, name: str, seen: list[str], only: str = "") -> None:
        self.name, self.seen, self.only = name, seen, only

    def concerns(self, group: str, resource: str, subresource: str, operation: str) -> bool:
        return self.only in ("", operation)

    async def admit(self, attributes: Attributes, obj: Any, old: Any) -> None:
        self.seen.append(f"{self.name} changes")


class Judge(Recorder):
    async def validate(self, attributes: Attributes, obj: Any, old: Any) -> None:
        self.seen.append(f"{self.name} judges")


class Again(Recorder):
    async def admit(self, attributes: Attributes, obj: Any, old: Any) -> None:
        await super().admit(attributes, obj, old)
        attributes.passage.wanted = True


def asked(operation: str = CREATE) -> Attributes:
    return Attributes(ANN, operation.lower(), resource="pods", operation=operation)


async def test_all_change_before_any_judges_and_those_who_cannot_judge_are_not_asked():
    seen: list[str] = []
    chain = Chain([Judge("a", seen), Recorder("b", seen), Judge("c", seen)])
    await chain.admit(asked(), {}, None)
    await chain.validate(asked(), {}, None)
    assert seen == ["a changes", "b changes", "c changes", "a judges", "c judges"]


async def test_a_plugin_is_asked_about_what_concerns_it_alone():
    seen: list[str] = []
    chain = Chain([Recorder("a", seen, only=DELETE), Recorder("b", seen)])
    for operation in (CREATE, DELETE, CREATE):
        await chain.admit(asked(operation), {}, None)
    assert seen == ["b changes", "a changes", "b changes", "b changes"]


async def test_an_object_passes_all_a_second_time_and_never_a_third():
    seen: list[str] = []
    await Chain([Recorder("a", seen), Again("b", seen)]).admit(asked(), {}, None)
    assert seen == ["a changes", "b changes"] * 2


@pytest.mark.parametrize(("limits", "quality"), [
    pytest.param({"default": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed", id="limits"),
    pytest.param({"defaultRequest": {"cpu": "1"}}, "Burstable", id="requests"),
])
async def test_what_follows_from_an_object_follows_from_what_admission_made_of_it(tmp_path, limits, quality):
    async with running(tmp_path) as cluster:
        await cluster.post("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
        await cluster.post("/api/v1/namespaces/default/limitranges", {
            "metadata": {"name": "limits"}, "spec": {"limits": [{"type": "Container", **limits}]}})
        reply = await cluster.post("/api/v1/namespaces/default/pods", pod())
        assert reply.json["status"]["qosClass"] == quality


async def test_plugins_that_change_see_no_name_that_is_yet_to_be_generated_and_those_that_judge_see_it(tmp_path):
    names: list[str] = []

    class Names(Plugin):
        async def admit(self, attributes: Attributes, obj: Any, old: Any) -> None:
            names.append(attributes.name + str(obj["metadata"].get("name")))

        async def validate(self, attributes: Attributes, obj: Any, old: Any) -> None:
            names.append(attributes.name)

    async with running(tmp_path) as cluster:
        cluster.registry.admission = Chain([Names()])
        reply = await cluster.post("/api/v1/namespaces/default/configmaps", {"metadata": {"generateName": "web-"}})
    assert names == ["None", reply.json["metadata"]["name"]]


def names(rows: Any) -> set[str]:
    return {row.name for row in rows}


def test_settings_say_which_plugins_run():
    usual = names(chosen([], []))
    assert {"NamespaceLifecycle", "NodeRestriction", "PodSecurity", "ResourceQuota"} <= usual
    assert usual - names(chosen([], ["PodSecurity", "LimitRanger"])) == {"PodSecurity", "LimitRanger"}
    assert names(chosen(["PodSecurity"], ["PodSecurity"])) == usual


@pytest.mark.parametrize(("enabled", "disabled", "words"), [
    (["Bogus"], [], '--enable-admission-plugins plugin "Bogus" is unknown'),
    ([], ["Bogus"], '--disable-admission-plugins plugin "Bogus" is unknown'),
    (["JobValidation"], [], "JobValidation is not built into this server"),
])
def test_plugins_that_there_are_not_are_refused_by_name(enabled, disabled, words):
    with pytest.raises(CannotRun, match=words):
        chosen(enabled, disabled)


def test_the_reference_has_every_plugin_in_its_order_and_says_whether_it_runs():
    text = (Path(__file__).parents[3] / "docs" / "reference" / "admission.md").read_text()
    found = re.findall(r"^\| (\w+) \| (on|off|always|not built) \|", text, re.MULTILINE)
    states = {(True, True): "on", (True, False): "off", (False, False): "not built"}
    assert found == [(row.name, "always" if row.name == RBAC else states[row.make is not None, row.on])
                     for row in ORDER]
