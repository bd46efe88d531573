"""Kubeconfig files: found, merged and written as kubectl does."""

import contextlib
import copy
import stat

import pytest
import yaml

from timonier.kit import kubeconfig
from timonier.kit.kubeconfig import ClientConfig, ConfigError

PLAIN = ClientConfig(server="http://127.0.0.1:1", token="secret")


def test_what_is_saved_can_be_loaded(tmp_path):
    path = tmp_path / "deep" / "config"
    saved = ClientConfig(server="https://h:6443", certificate_authority=b"CA", client_certificate=b"C", client_key=b"K",
                         namespace="web")
    kubeconfig.save(path, "mine", saved)
    assert kubeconfig.load(path) == saved


def test_only_the_owner_may_read_it(tmp_path):
    path = tmp_path / "config"
    kubeconfig.save(path, "mine", PLAIN)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_saving_leaves_other_contexts_and_unknown_fields_as_they_are(tmp_path):
    path = tmp_path / "config"
    other = {"preferences": {"colors": True}, "current-context": "other",
             "clusters": [{"name": "other", "cluster": {"server": "http://o", "proxy-url": "http://p"}}],
             "users": [{"name": "other", "user": {"exec": {"command": "x"}}}],
             "contexts": [{"name": "other", "context": {"cluster": "other", "user": "other"}}]}
    path.write_text(yaml.safe_dump(other))
    kubeconfig.save(path, "mine", PLAIN, make_current=False)
    kubeconfig.save(path, "mine", PLAIN, make_current=False)
    written = yaml.safe_load(path.read_text())
    assert written["current-context"] == "other"
    assert written["preferences"] == {"colors": True}
    assert [each["name"] for each in written["users"]] == ["other", "mine"]
    kubeconfig.remove(path, "mine")
    assert {key: written for key, written in yaml.safe_load(path.read_text()).items() if key in other} == other


def test_removing_the_current_context_leaves_none(tmp_path):
    path = tmp_path / "config"
    kubeconfig.save(path, "mine", PLAIN)
    kubeconfig.remove(path, "mine")
    with pytest.raises(ConfigError, match="no current context"):
        kubeconfig.load(path)


def test_the_first_of_several_files_wins(tmp_path, monkeypatch):
    kubeconfig.save(tmp_path / "a", "same", ClientConfig(server="http://a"))
    kubeconfig.save(tmp_path / "b", "same", ClientConfig(server="http://b"))
    kubeconfig.save(tmp_path / "b", "more", ClientConfig(server="http://more"))
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'absent'}:{tmp_path / 'a'}:{tmp_path / 'b'}")
    assert kubeconfig.load().server == "http://a"
    assert kubeconfig.load(context="more").server == "http://more"


def test_file_names_are_relative_to_their_kubeconfig(tmp_path):
    (tmp_path / "ca.pem").write_bytes(b"CA")
    (tmp_path / "config").write_text(yaml.safe_dump({
        "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://h/", "certificate-authority": "ca.pem"}}],
        "users": [{"name": "u", "user": {"tokenFile": "token"}}]}))
    loaded = kubeconfig.load(tmp_path / "config")
    assert (loaded.certificate_authority, loaded.server, loaded.token_file) == (b"CA", "https://h", tmp_path / "token")


@pytest.mark.parametrize(("content", "complaint"), [
    pytest.param("a: [", "is damaged", id="malformed-yaml"),
    pytest.param("- 1", "not a mapping", id="a-list"),
    pytest.param("current-context: x", 'context "x" does not exist', id="missing-context"),
    pytest.param("clusters: [{cluster: {}}]", "has no name", id="nameless-entry"),
    pytest.param("{current-context: x, contexts: [{name: x, context: {cluster: y}}]}", "names cluster",
                 id="no-cluster"),
    pytest.param("{current-context: x, contexts: [{name: x, context: {cluster: y}}], "
                 "clusters: [{name: y, cluster: {server: 'https://h', certificate-authority-data: '%'}}]}",
                 "not base64", id="bad-base64"),
])
def test_a_bad_file_is_named_with_its_fault(tmp_path, content, complaint):
    (tmp_path / "config").write_text(content)
    with pytest.raises(ConfigError, match=complaint):
        kubeconfig.load(tmp_path / "config")


WHOLE = {
    "current-context": "a", "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a", "namespace": "n"}}],
    "clusters": [{"name": "a", "cluster": {"server": "https://127.0.0.1:1", "certificate-authority": "",
                                           "certificate-authority-data": "", "tls-server-name": "x"}}],
    "users": [{"name": "a", "user": {"token": "t", "tokenFile": "f", "client-certificate-data": "", "client-key": ""}}]}
JUNK = [None, 0, 1.5, True, "", "x", [], {}, ["a"], {"a": "b"}, b"\0", "https://[::", "http://a:99999999", "é"]


def places(part, way=()):
    """The way to each part of a document, the whole first."""
    yield way
    for key, value in part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ():
        yield from places(value, (*way, key))


@pytest.mark.parametrize("way", list(places(WHOLE)), ids=lambda way: ".".join(map(str, way)) or "whole")
def test_whatever_stands_at_a_place_it_is_an_error_of_the_config_or_none(tmp_path, way):
    file = tmp_path / "config"
    for junk in JUNK:
        document = copy.deepcopy({"": WHOLE})
        part = document
        for key in ("", *way)[:-1]:
            part = part[key]
        part[("", *way)[-1]] = junk
        for use in (lambda: kubeconfig.load(file).ssl_context(), lambda: kubeconfig.remove(file, "a"),
                    lambda: kubeconfig.save(file, "b", ClientConfig("https://h"))):
            file.write_text(yaml.safe_dump(document[""]))
            with contextlib.suppress(ConfigError):
                use()


def test_certificates_that_do_not_load_are_an_error_of_the_config():
    with pytest.raises(ConfigError, match="cannot be loaded"):
        ClientConfig("https://h", client_certificate=b"nonsense", client_key=b"nonsense").ssl_context()


def test_in_a_pod_the_service_account_says_it_all(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    (tmp_path / "ca.crt").write_bytes(b"CA")
    (tmp_path / "namespace").write_text("web\n")
    found = kubeconfig.in_cluster(tmp_path)
    assert (found.server, found.namespace, found.token_file) == ("https://[fd00::1]:443", "web", tmp_path / "token")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    with pytest.raises(ConfigError, match="not in a pod"):
        kubeconfig.in_cluster(tmp_path)
