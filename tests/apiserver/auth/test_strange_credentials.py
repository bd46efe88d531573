"""Whatever a stranger sends as a credential, a wish or a question, the answer is one of Kubernetes's, never a 500."""

import base64

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.api_server import running

from timonier.apiserver.access import access
from timonier.apiserver.auth.bootstrap import bootstrap
from timonier.kit.trust import Authorities

TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=40)
SEGMENT = st.one_of(st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).rstrip(b"=").decode()),
                    st.sampled_from(["e30", "eyJhbGciOiJub25lIn0", "eyJpc3MiOiJrdWJlcm5ldGVzL3NlcnZpY2VhY2NvdW50In0"]))
TOKEN = st.one_of(TEXT, st.lists(SEGMENT, min_size=2, max_size=4).map(".".join),
                  st.from_regex(r"\A[a-z0-9]{6}\.[a-z0-9]{16}\Z"))
HEADERS = st.fixed_dictionaries({}, optional={
    "authorization": st.one_of(TEXT, TOKEN.map("Bearer {}".format)), "upgrade": st.sampled_from(["websocket", "x"]),
    "sec-websocket-protocol": TOKEN.map("base64url.bearer.authorization.k8s.io.{}, v4".format),
    "impersonate-user": st.one_of(TEXT, st.sampled_from(["system:node:", "system:serviceaccount:a:", "bob"])),
    "impersonate-group": TEXT, "impersonate-uid": TEXT, "impersonate-extra-%": TEXT, "impersonate-extra-a%2": TEXT,
    "x-remote-user": TEXT})
JSON = st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=8),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([
                        "verb", "resource", "namespace", "requirements", "rawSelector", "key", "operator", "values",
                        "user", "groups", "extra", "token", "audiences", "path"]), inner, max_size=4), max_leaves=12)
FIELDS = ("resourceAttributes", "nonResourceAttributes", "user", "groups", "extra", "token", "audiences", "namespace")
OPERATORS = st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt", "Near", ""])
SELECTOR = st.fixed_dictionaries({}, optional={
    "rawSelector": st.one_of(TEXT, st.sampled_from(["a=b,c!=d", "a in (b,c),!d", "a in (", "=,", "a>b"])),
    "requirements": st.lists(st.fixed_dictionaries({}, optional={
        "key": TEXT, "operator": OPERATORS, "values": st.lists(TEXT, max_size=2)}), max_size=2)})
RESOURCE = st.fixed_dictionaries({}, optional=dict.fromkeys(
    ("verb", "group", "version", "resource", "subresource", "namespace", "name"), TEXT) | dict.fromkeys(
        ("fieldSelector", "labelSelector"), SELECTOR))
SPEC = st.one_of(
    st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON)),
    st.fixed_dictionaries({"resourceAttributes": RESOURCE}, optional={
        "user": TEXT, "groups": st.lists(TEXT, max_size=2), "extra": st.dictionaries(TEXT, st.lists(TEXT, max_size=2),
                                                                                     max_size=2)}),
    st.fixed_dictionaries({"token": TOKEN}, optional={"audiences": st.lists(TEXT, max_size=2)}))
QUESTIONS = ["authentication.k8s.io/v1/tokenreviews", "authentication.k8s.io/v1/selfsubjectreviews",
             "authorization.k8s.io/v1/subjectaccessreviews", "authorization.k8s.io/v1/selfsubjectaccessreviews",
             "authorization.k8s.io/v1/selfsubjectrulesreviews",
             "authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews"]
PLAIN = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
async def cluster(tmp_path):
    async with running(tmp_path) as found:
        await bootstrap(found.registry)
        found.doors = access(found.server.settings, found.registry, found.clock, Authorities())
        yield found


@PLAIN
@given(headers=HEADERS)
async def test_no_header_makes_the_server_fail(cluster, headers):
    everybody, cluster.server.access = cluster.server.access, cluster.doors
    try:
        encoded = {name: value.encode("utf-8", "surrogateescape").decode("latin-1") for name, value in headers.items()}
        reply = await cluster.get("/api/v1/namespaces/default/pods", **encoded)
    finally:
        cluster.server.access = everybody
    assert reply.code in (400, 401, 403)


@PLAIN
@given(question=st.sampled_from(QUESTIONS), spec=SPEC)
async def test_no_question_makes_the_server_fail(cluster, question, spec):
    reply = await cluster.post(f"/apis/{question}", {"spec": spec})
    assert reply.code in (201, 400, 422), reply.content
