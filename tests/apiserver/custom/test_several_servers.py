"""Several API servers over one store: what one is told, all know."""

from __future__ import annotations

from support.api_server import running
from support.definitions import FOOS, PATH, condition, define, definition, foo, version

from timonier.store.memory import MemoryStore


async def test_definitions_are_the_same_to_all(tmp_path):
    store = MemoryStore()
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
    async with running(tmp_path / "one", store) as one, running(tmp_path / "other", store) as other:
        await define(one)
        assert (await other.post(FOOS, foo())).code == 201
        assert (await one.get(f"{FOOS}/x")).code == 200
        established = await condition(other, "foos.example.com", "Established")
        assert established
        assert established["status"] == "True"

        found = (await other.get(f"{PATH}/foos.example.com")).json
        schema = {"type": "object", "properties": {"size": {"type": "integer", "default": 7}}}
        found["spec"] = definition(version(schema=schema))["spec"]
        assert (await other.put(f"{PATH}/foos.example.com", found)).code == 200
        assert (await one.post(FOOS, foo("y", {}))).json["spec"] == {"size": 7}

        assert (await one.delete(f"{PATH}/foos.example.com")).code == 200
        for _ in range(3):
            await one.settle()
            await other.settle()
        for each in (one, other):
            assert (await each.get(f"{PATH}/foos.example.com")).code == 404
            assert (await each.get(FOOS)).code == 404
        await define(other)
        assert (await one.get(FOOS)).json["items"] == []
