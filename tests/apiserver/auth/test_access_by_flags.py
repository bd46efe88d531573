"""A server of its own process that is told of its access by flags and files, and asks a webhook."""

import asyncio
import json
import ssl
import threading
import urllib.error
import urllib.request

import pytest
import yaml
from support.callee import called
from support.control_plane import control_plane


@pytest.fixture
def webhook():
    """A webhook in a thread of its own, which knows the token `known` and lets bob read secrets."""
    ready, over, found = threading.Event(), [], []

    def answer(path, sent):
        if sent["kind"] == "TokenReview":
            return {"status": {"authenticated": sent["spec"]["token"] == "known", "user": {"username": "bob"}}}
        spec = sent["spec"]
        return {"status": {"allowed": spec["user"] == "bob" and spec["resourceAttributes"]["resource"] == "secrets"}}

    async def serving():
        over.append((asyncio.get_running_loop(), asyncio.Event()))
        async with called(answer) as callee:
            found.append(callee)
            ready.set()
            await over[0][1].wait()

    thread = threading.Thread(target=lambda: asyncio.run(serving()))
    thread.start()
    assert ready.wait(10)
    yield found[0]
    loop, event = over[0]
    loop.call_soon_threadsafe(event.set)
    thread.join(10)


def nobody(plane, path):
    """The status that a request without a credential gets."""
    trusted = ssl.create_default_context(cafile=str(plane.folder / "ca.crt"))
    try:
        with urllib.request.urlopen(plane.url + path, context=trusted, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_files_and_webhooks_decide_who_comes_in_and_what_they_may(tmp_path, webhook):
    kind = {"apiVersion": "apiserver.config.k8s.io/v1"}
    tokens, authentication, authorization = (tmp_path / name for name in ("tokens.csv", "authn.yaml", "authz.yaml"))
    tokens.write_text('abc,ann,1,"system:masters"\n')
    authentication.write_text(yaml.safe_dump(kind | {
        "kind": "AuthenticationConfiguration", "jwt": [],
        "anonymous": {"enabled": True, "conditions": [{"path": "/livez"}]}}))
    authorization.write_text(yaml.safe_dump(kind | {"kind": "AuthorizationConfiguration", "authorizers": [
        {"type": "Node", "name": "node"}, {"type": "RBAC", "name": "rbac"},
        {"type": "Webhook", "name": "ours", "webhook": {
            "timeout": "3s", "subjectAccessReviewVersion": "v1", "failurePolicy": "NoOpinion",
            "matchConditionSubjectAccessReviewVersion": "v1",
            "matchConditions": [{"expression": "has(request.resourceAttributes) && request.user == 'bob'"}],
            "connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": str(webhook.kubeconfig(tmp_path))}}}]}))
    with control_plane(tmp_path / "plane", manager=False, token_auth_file=tokens, authentication_config=authentication,
                       authorization_config=authorization,
                       authentication_token_webhook_config_file=webhook.kubeconfig(tmp_path)) as plane:
        def asked(*arguments, token=""):
            return plane.kubectl("--kubeconfig", "/dev/null", "--server", plane.url, "--certificate-authority",
                                 str(plane.folder / "ca.crt"), *(("--token", token) if token else ()), *arguments,
                                 check=False)

        whoami = asked("auth", "whoami", "-o", "json", token="abc")
        assert json.loads(whoami.out)["status"]["userInfo"]["groups"] == ["system:masters", "system:authenticated"]
        assert asked("get", "secrets", "-A", token="known").code == 0
        refused = asked("get", "pods", "-A", token="known")
        assert 'User "bob" cannot list resource "pods"' in refused.err
        assert "Unauthorized" in asked("get", "secrets", token="unknown").err
        assert [nobody(plane, path) for path in ("/livez", "/version")] == [200, 401]
        asked_about = {review["spec"]["user"] for review in webhook.asked if review["kind"] == "SubjectAccessReview"}
        assert asked_about == {"bob"}
