import datetime
import stat

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from timonier.cluster import certificates
from timonier.cluster.certificates import Authority, Identity


def read(pair):
    return x509.load_pem_x509_certificate(pair.certificate.read_bytes())


def test_a_client_certificate_names_its_user_and_groups(tmp_path):
    pair = Authority(tmp_path).issue("me", Identity("jane", groups=("a", "b")))
    subject = read(pair).subject
    assert [n.value for n in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["jane"]
    assert [n.value for n in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == ["a", "b"]
    usage = read(pair).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_a_serving_certificate_holds_its_hosts(tmp_path):
    pair = Authority(tmp_path).issue("server", Identity("s", hosts=("localhost", "10.0.0.1")))
    assert certificates.hosts_of(read(pair)) == {"localhost", "10.0.0.1"}


def test_certificates_are_signed_by_the_authority(tmp_path):
    authority = Authority(tmp_path)
    read(authority.issue("me", Identity("jane"))).verify_directly_issued_by(read(authority.pair))


def test_private_keys_are_readable_by_their_owner_alone(tmp_path):
    authority = Authority(tmp_path)
    for pair in (authority.pair, authority.issue("me", Identity("jane"))):
        assert stat.S_IMODE(pair.key.stat().st_mode) == 0o600


def test_a_good_certificate_is_kept_and_a_changed_identity_gets_a_new_one(tmp_path):
    authority = Authority(tmp_path)
    first = read(authority.issue("me", Identity("jane")))
    assert read(Authority(tmp_path).issue("me", Identity("jane"))) == first
    assert read(authority.issue("me", Identity("joe"))) != first


def test_a_certificate_about_to_expire_is_renewed(tmp_path, monkeypatch):
    authority = Authority(tmp_path)
    first = read(authority.issue("me", Identity("jane")))
    soon = first.not_valid_after_utc - datetime.timedelta(days=1)
    monkeypatch.setattr(certificates, "now", lambda: soon)
    assert read(authority.issue("me", Identity("jane"))).not_valid_after_utc > first.not_valid_after_utc


def test_a_certificate_of_another_authority_is_replaced(tmp_path):
    foreign = Authority(tmp_path / "other").issue("me", Identity("jane"))
    authority = Authority(tmp_path / "ours")
    (tmp_path / "ours" / "me.crt").write_bytes(foreign.certificate.read_bytes())
    (tmp_path / "ours" / "me.key").write_bytes(foreign.key.read_bytes())
    read(authority.issue("me", Identity("jane"))).verify_directly_issued_by(read(authority.pair))
