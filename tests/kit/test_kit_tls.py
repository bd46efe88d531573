"""A server asks for a certificate and judges it itself: what comes through a handshake, and what never does."""

import ctypes
import ssl

import pytest
from support.certificates import authority, context, make, name_of

from timonier.cluster.certificates import Authority, Identity
from timonier.kit import tls
from timonier.kit.clock import SystemClock
from timonier.kit.fatal import CannotRun

VERSIONS = [pytest.param(ssl.TLSVersion.TLSv1_2, id="1.2"), pytest.param(ssl.TLSVersion.TLSv1_3, id="1.3")]
CERTIFICATE_VERIFY, HANDSHAKE = 15, 22
NOW = SystemClock().now()


@pytest.fixture
def home(tmp_path):
    return Authority(tmp_path / "pki")


@pytest.fixture
def server(home):
    pair = home.issue("server", Identity("server", hosts=("127.0.0.1",)))
    return tls.server_context(pair.certificate, pair.key, home.pair.certificate)


def shake(server, client, spoil=lambda data: data):
    """Hands in memory; `spoil` may change what the client sends. Returns the server's end."""
    to_client, to_server, sent = ssl.MemoryBIO(), ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(to_client, sent), server.wrap_bio(to_server, to_client, server_side=True)]
    waiting = list(ends)
    for _ in range(10):
        for end in list(waiting):
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                continue
            finally:
                to_server.write(spoil(sent.read()))
    assert not waiting
    return ends[1]


def strangers():
    other = authority(NOW)
    return [pytest.param(make(NOW, name_of("ann")), id="self-signed"),
            pytest.param(make(NOW, name_of("ann"), other), id="foreign"),
            pytest.param(make(NOW, name_of("ann"), other, ends=-1), id="expired")]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("made", strangers())
def test_any_certificate_comes_through_as_it_was_sent(server, home, tmp_path, made, version):
    end = shake(server, context(made, home.pair.certificate, tmp_path, version))
    assert end.getpeercert(True) == made.der


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_without_a_certificate_comes_through(server, home, tmp_path, version):
    assert shake(server, context(None, home.pair.certificate, tmp_path, version)).getpeercert(True) is None


def test_a_certificate_without_its_key_never_comes_through(server, home, tmp_path):
    """The client's proof, its CertificateVerify, is spoilt on the way; TLS 1.2, where it is sent in the clear."""
    spoilt = []

    def spoil(data):
        place, changed = 0, bytearray(data)
        while place + 5 <= len(data):
            size = int.from_bytes(data[place + 3:place + 5])
            if data[place] == HANDSHAKE and data[place + 5] == CERTIFICATE_VERIFY:
                changed[place + 5 + size - 1] ^= 1
                spoilt.append(place)
            place += 5 + size
        return bytes(changed)

    made = make(NOW, name_of("ann"), authority(NOW))
    with pytest.raises(ssl.SSLError, match=r"(?i)bad signature"):
        shake(server, context(made, home.pair.certificate, tmp_path, ssl.TLSVersion.TLSv1_2), spoil)
    assert spoilt


def test_a_session_that_is_resumed_has_the_certificate_it_began_with(server, home, tmp_path):
    made = make(NOW, name_of("ann"), authority(NOW))
    client = context(made, home.pair.certificate, tmp_path, ssl.TLSVersion.TLSv1_2)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    sessions = []
    for _ in range(2):
        ends = [client.wrap_bio(to_client, to_server, session=sessions[0] if sessions else None),
                server.wrap_bio(to_server, to_client, server_side=True)]
        waiting = list(ends)
        while waiting:
            for end in list(waiting):
                try:
                    end.do_handshake()
                    waiting.remove(end)
                except ssl.SSLWantReadError:
                    continue
        sessions.append(ends[0].session)
    assert ends[1].session_reused
    assert ends[1].getpeercert(True) == made.der


@pytest.mark.parametrize("version", VERSIONS)
def test_where_openssl_is_not_surely_ours_the_handshake_verifies(home, tmp_path, monkeypatch, version):
    monkeypatch.setattr(tls, "openssl", lambda: None)
    pair = home.issue("server", Identity("server", hosts=("127.0.0.1",)))
    server = tls.server_context(pair.certificate, pair.key, home.pair.certificate)
    own = home.issue("ann", Identity("ann"))
    client = context(None, home.pair.certificate, tmp_path, version)
    client.load_cert_chain(own.certificate, own.key)
    assert shake(server, client).getpeercert(True)
    with pytest.raises(ssl.SSLError, match=r"(?i)verify failed"):
        shake(server, context(make(NOW, name_of("ann")), home.pair.certificate, tmp_path, version))


def test_a_pointer_to_another_context_is_noticed():
    library = tls.openssl()
    assert library is not None
    ours, other = (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(2))
    pointers = [ctypes.c_void_p.from_address(id(each) + object.__basicsize__) for each in (ours, other)]
    assert tls.is_context(library, pointers[0], ours)
    assert not tls.is_context(library, pointers[1], ours)
    assert not tls.is_context(library, ctypes.c_void_p(0), ours)
    assert ours.verify_mode == ssl.CERT_NONE


def test_an_unknown_python_is_left_alone(monkeypatch):
    monkeypatch.setattr(tls, "KNOWN_PYTHONS", ((3, 0), (3, 1)))
    assert tls.openssl() is None


def test_an_openssl_of_another_version_is_left_alone(monkeypatch):
    monkeypatch.setattr(ssl, "OPENSSL_VERSION_NUMBER", 1)
    assert tls.openssl() is None


@pytest.mark.parametrize(("certificate", "key", "ca", "why"), [
    ("none", "server.key", "ca.crt", "none: No such file"),
    ("server.crt", "none", "ca.crt", "none: No such file"),
    ("server.crt", "server.key", "none", "none: No such file"),
    ("server.crt", "ca.key", "ca.crt", "not a certificate and its key"),
    ("bad", "server.key", "ca.crt", "not a certificate and its key"),
    ("server.crt", "server.key", "bad", "bad holds no certificates"),
    (".", "server.key", "ca.crt", "Is a directory")])
def test_files_that_cannot_be_used_are_named(home, certificate, key, ca, why):
    home.issue("server", Identity("server", hosts=("127.0.0.1",)))
    (home.folder / "bad").write_text("nonsense")
    with pytest.raises(CannotRun, match=why):
        tls.server_context(home.folder / certificate, home.folder / key, home.folder / ca)
