"""Which client certificates are believed, and when."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from support.certificates import CLIENT, HOUR, SERVER, authority, make, name_of

from timonier.kit.fatal import CannotRun
from timonier.kit.trust import REMEMBERED, Authorities, Untrusted, Verified

NOW = 1_800_000_000.0
STRANGE = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0")
ONLY_REVOKES = x509.KeyUsage(True, False, False, False, False, False, True, False, False)
ANN = name_of("ann", ["dev"])
CA = authority(NOW)
OTHER_OF_THE_SAME_NAME = authority(NOW)


def said(certificate):
    return certificate.subject.rfc4514_string()


def verified(*authorities):
    return Verified(Authorities(each.certificate for each in authorities or (CA,)), said)


def refusal(der, *authorities, now=NOW):
    with pytest.raises(Untrusted) as caught:
        verified(*authorities).of(der, now)
    return str(caught.value)


def test_a_certificate_of_a_trusted_authority_is_believed():
    assert verified().of(make(NOW, ANN, CA).der, NOW) == "CN=ann,O=dev"


@pytest.mark.parametrize("usages", [None, [ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE], [SERVER, CLIENT]],
                         ids=["none-named", "any", "both"])
def test_usages_that_include_clients_are_believed_as_in_go(usages):
    assert verified().of(make(NOW, ANN, CA, usages=usages).der, NOW)


def test_a_certificate_without_basic_constraints_is_believed():
    assert verified().of(make(NOW, ANN, CA, ca=None).der, NOW)


@pytest.mark.parametrize(("made", "why"), [
    pytest.param(make(NOW, ANN), "unknown authority", id="self-signed"),
    pytest.param(make(NOW, ANN, authority(NOW, "other")), "unknown authority", id="foreign"),
    pytest.param(make(NOW, ANN, OTHER_OF_THE_SAME_NAME), "unknown authority", id="foreign-of-the-same-name"),
    pytest.param(make(NOW, ANN, CA, usages=[SERVER]), "clientAuth", id="serving-only"),
    pytest.param(make(NOW, ANN, CA, ca=True), "certificate of a CA", id="a-ca"),
    pytest.param(CA, "certificate of a CA", id="the-ca-itself"),
    pytest.param(make(NOW, ANN, make(NOW, name_of("middle"), CA)), "unknown authority", id="issued-by-a-leaf"),
    pytest.param(make(NOW, ANN, CA, ends=-1), "expired", id="expired"),
    pytest.param(make(NOW, ANN, CA, begins=1), "not yet valid", id="not-yet-valid"),
    pytest.param(make(NOW, ANN, CA, key=rsa.generate_private_key(65537, 1024)), "RSA key", id="short-key"),
    pytest.param(make(NOW, ANN, CA, digest=hashes.SHA3_256()), "unknown authority", id="strange-hash"),
    pytest.param(make(NOW, ANN, CA, extra=[(STRANGE, True)]),
                 "critical extension that is not understood: 1.2.3.4", id="critical-extension")])
def test_other_certificates_are_not(made, why):
    assert why in refusal(made.der)


def test_a_changed_certificate_is_not_believed():
    der = make(NOW, ANN, CA).der
    assert b"ann" in der
    assert "unknown authority" in refusal(der.replace(b"ann", b"eve"))


@pytest.mark.parametrize("der", [b"", b"\x30\x00", b"nonsense", CA.der[:-1]], ids=["empty", "bare", "text", "cut"])
def test_what_is_no_certificate_is_refused(der):
    assert "cannot be read" in refusal(der)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_a_changed_byte_makes_it_untrusted_and_raises_nothing_else():
    made = make(NOW, ANN, CA)
    der, signed, checking = made.der, made.certificate.tbs_certificate_bytes, verified()
    begin = der.index(signed)
    for place in range(begin, begin + len(signed)):
        with pytest.raises(Untrusted):
            checking.of(der[:place] + bytes([der[place] ^ 1]) + der[place + 1:], NOW)


def test_it_holds_from_its_first_second_to_its_last_though_the_verdict_is_remembered():
    checking, der = verified(), make(NOW, ANN, CA).der
    for moment in (NOW - HOUR, NOW, NOW + HOUR):
        assert checking.of(der, moment)
    for moment in (NOW - HOUR - 1, NOW + HOUR + 1):
        with pytest.raises(Untrusted):
            checking.of(der, moment)


def test_it_ends_with_its_authority():
    brief = authority(NOW, ends=10)
    der = make(NOW, ANN, brief).der
    assert verified(brief).of(der, NOW + 10)
    assert "expired" in refusal(der, brief, now=NOW + 11)


def test_with_an_authority_renewed_under_the_same_key_it_holds_as_long_as_either():
    old = authority(NOW, ends=10)
    renewed = authority(NOW, key=old.key)
    der = make(NOW, ANN, old).der
    assert verified(old, renewed).of(der, NOW + 100)


@pytest.mark.parametrize("bad", [
    pytest.param(make(NOW, name_of("leaf"), usages=None), id="leaf"),
    pytest.param(authority(NOW, ca=None), id="no-basic-constraints"),
    pytest.param(authority(NOW, usages=[SERVER]), id="for-servers-only"),
    pytest.param(authority(NOW, extra=[(ONLY_REVOKES, True)]), id="may-not-sign-certificates"),
    pytest.param(authority(NOW, extra=[(x509.NameConstraints([x509.DNSName("a.b")], None), True)]), id="constrained")])
def test_what_is_no_authority_issues_nothing(bad):
    assert "unknown authority" in refusal(make(NOW, ANN, bad).der, bad)


def test_nobody_is_believed_without_authorities():
    with pytest.raises(Untrusted):
        Verified(Authorities(), said).of(make(NOW, ANN, CA).der, NOW)


def test_ed25519_is_believed():
    edwards = authority(NOW, key=ed25519.Ed25519PrivateKey.generate())
    assert verified(edwards).of(make(NOW, ANN, edwards).der, NOW)


def test_a_verdict_is_found_once():
    checking, asked = verified(), []
    checking.read = lambda certificate: asked.append(certificate) or "ann"
    der = make(NOW, ANN, CA).der
    assert [checking.of(der, NOW) for _ in range(3)] == ["ann"] * 3
    assert len(asked) == 1


def test_strangers_do_not_fill_the_memory():
    checking = verified()
    for number in range(REMEMBERED + 10):
        with pytest.raises(Untrusted):
            checking.of(b"%d" % number, NOW)
    assert len(checking.known) == REMEMBERED


@pytest.mark.parametrize("content", [b"", b"nonsense", make(NOW, ANN).certificate.public_bytes(Encoding.PEM)],
                         ids=["empty", "nonsense", "no-ca"])
def test_a_file_without_authorities_is_said(tmp_path, content):
    file = tmp_path / "ca.crt"
    file.write_bytes(content)
    with pytest.raises(CannotRun, match=str(file)):
        Authorities.from_file(file)
    with pytest.raises(CannotRun, match="No such file"):
        Authorities.from_file(tmp_path / "none")


def test_every_authority_of_a_file_counts(tmp_path):
    file, second = tmp_path / "ca.crt", authority(NOW, "second")
    file.write_bytes(CA.certificate.public_bytes(Encoding.PEM) + second.certificate.public_bytes(Encoding.PEM))
    checking = Verified(Authorities.from_file(file), said)
    assert checking.of(make(NOW, ANN, second).der, NOW) == checking.of(make(NOW, ANN, CA).der, NOW)
