"""What ends a process is said in sentences, and what is a bug is not hidden."""

import errno
import os

import pytest

from timonier.apiserver.encryption.ciphers import Undecipherable
from timonier.cluster.spec import ClusterError
from timonier.kit.fatal import CannotRun, needed, reasons, sentence
from timonier.kit.kubeconfig import ConfigError
from timonier.kit.nft import NftablesMissing
from timonier.store.sqlite import Unusable


@pytest.mark.parametrize("kind", [ConfigError, ClusterError, NftablesMissing, Unusable, Undecipherable])
def test_what_somebody_can_do_something_about_is_of_one_family(kind):
    assert reasons(kind("do this")) == ["do this"]


def test_reasons_of_a_group_are_said_once_each():
    group = BaseExceptionGroup("", [CannotRun("a"), ExceptionGroup("", [CannotRun("b"), CannotRun("a")])])
    assert reasons(group) == ["a", "b"]


def test_a_bug_beside_a_reason_is_not_hidden():
    assert reasons(BaseExceptionGroup("", [CannotRun("a"), ExceptionGroup("", [KeyError("b")])])) == []
    assert reasons(KeyError("b")) == []


@pytest.mark.parametrize(("error", "text"), [
    (FileNotFoundError(errno.ENOENT, "No such file or directory", "/x"), "/x: No such file or directory"),
    (OSError(errno.ENOSPC, "No space left on device", "/x"),
     "/x: No space left on device; free some space and run this again"),
    (OSError(errno.EXDEV, "Invalid cross-device link", "/a", None, "/b"), "/a -> /b: Invalid cross-device link"),
    (OSError("only text"), "only text")])
def test_what_the_machine_refuses_names_the_file_and_the_remedy(error, text):
    assert sentence(error) == text


def test_who_is_not_root_is_told_of_sudo(monkeypatch):
    refused = PermissionError(errno.EACCES, "Permission denied", "/x")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert sentence(refused) == "/x: Permission denied; run this with sudo"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert sentence(refused) == "/x: Permission denied"


def test_what_is_needed_and_refused_says_for_what(tmp_path):
    with pytest.raises(CannotRun, match=r"cannot read the key: .*none: No such file"), needed("cannot read the key"):
        (tmp_path / "none").read_bytes()


def test_a_reason_that_is_known_already_is_kept():
    with pytest.raises(NftablesMissing, match=r"^install it$"), needed("cannot start"):
        raise NftablesMissing("install it")
