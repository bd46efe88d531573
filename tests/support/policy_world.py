"""A cluster's cache in a dictionary, for tests of what reads it."""

from timonier.api.errors import AlreadyExists, Conflict, not_found
from timonier.api.kinds import BY_ID
from timonier.api.patches.clone import clone
from timonier.apiserver.news import News


class World:
    """The registry's face over a dictionary."""

    def __init__(self, *objects):
        self.objects, self.versions, self.revision = {}, {}, 0
        for obj in objects:
            self.add(obj)

    def add(self, obj):
        kind = BY_ID[f"{obj['apiVersion']}/{obj['kind']}"]
        obj = clone(obj)
        obj["metadata"].setdefault("uid", f"uid-of-{obj['metadata']['name']}")
        self.revision += 1
        obj["metadata"]["resourceVersion"] = str(self.revision)
        self.objects[kind.id, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]] = obj
        self.versions[kind.id] = self.versions.get(kind.id, 0) + 1
        return obj

    def remove(self, kind_id, namespace, name):
        del self.objects[kind_id, namespace, name]
        self.revision += 1
        self.versions[kind_id] += 1

    def peek(self, kind, namespace, name):
        return self.objects.get((kind.id, namespace, name))

    def peek_all(self, kind, namespace=""):
        return [obj for (kind_id, place, _), obj in sorted(self.objects.items(), key=lambda item: item[0])
                if kind_id == kind.id and namespace in ("", place)]

    def news(self, kind, after):
        return News(self.revision, True, [(obj["metadata"].get("namespace", ""), obj["metadata"]["name"], obj)
                                          for obj in self.peek_all(kind)])

    def changes(self, kind):
        return self.versions.get(kind.id, 0)

    async def get(self, kind, namespace, name):
        found = self.peek(kind, namespace, name)
        if found is None:
            raise not_found(kind.group, kind.plural, name)
        return clone(found)

    async def list(self, kind):
        return clone(self.peek_all(kind))

    async def create(self, kind, obj, namespace=""):
        if self.peek(kind, namespace, obj["metadata"]["name"]):
            raise AlreadyExists("already exists")
        return self.add(obj)

    async def delete(self, kind, namespace, name):
        self.remove(kind.id, namespace, name)
        return {}, True

    async def update(self, kind, obj, namespace=""):
        if self.peek(kind, namespace, obj["metadata"]["name"])["metadata"]["resourceVersion"] \
                != obj["metadata"]["resourceVersion"]:
            raise Conflict("changed")
        return self.add(obj)


def thing(kind_id, name, namespace="", **rest):
    apiVersion, _, kind = kind_id.rpartition("/")
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {}) | rest.pop("metadata", {})
    return {"apiVersion": apiVersion, "kind": kind, "metadata": metadata} | rest


def judged(authoriser, attributes):
    """The decision of authorisers that look at memory alone, and so never wait."""
    try:
        authoriser.decide(attributes).send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")
