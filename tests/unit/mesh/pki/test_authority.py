"""What the authority signs, refuses and renews."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from mesh.clock import ManualClock
from mesh.pki import CA, CA_KEY, Authority, Names, PkiError, issued_in
from mesh.tls import Certificate

CUSTOMER = Names(name="customer", hosts=("127.0.0.1", "::1", "db1.bank.example"))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def authority(tmp_path: Path, clock: ManualClock) -> Authority:
    return Authority.create(tmp_path / "pki", clock=clock)


def files(authority: Authority, name: str) -> Certificate:
    folder = authority.folder
    return Certificate(*(str(folder / file) for file in (f"{name}.pem", f"{name}.key", CA)))


def test_keys_are_their_owners_alone(authority: Authority) -> None:
    """The folder is closed, too; certificates are for everybody."""
    authority.issue(CUSTOMER)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in authority.folder.iterdir()}
    assert modes == {CA: 0o644, CA_KEY: 0o600, "customer.pem": 0o644, "customer.key": 0o600}
    assert stat.S_IMODE(authority.folder.stat().st_mode) == 0o700


def test_a_certificate_names_its_service_and_where_it_is(authority: Authority) -> None:
    """By its SPIFFE id, host names and addresses; it is fit for use as it is."""
    authority.issue(CUSTOMER)
    (issued,) = issued_in(authority.folder)
    assert issued.names.identity == "spiffe://engine/customer"
    assert set(issued.names.hosts) == set(CUSTOMER.hosts)
    loaded = files(authority, "customer").load(authority.clock.now())
    assert (loaded.service, loaded.expires) == ("customer", issued.ends)


def test_a_shared_certificate_proves_no_service(authority: Authority) -> None:
    """All services of a host show it."""
    authority.issue(Names(name="host-1", hosts=("127.0.0.1",), shared=True))
    (issued,) = issued_in(authority.folder)
    assert issued.names.identity == "spiffe://engine/host/host-1"
    assert files(authority, "host-1").load(authority.clock.now()).service == ""


def test_nothing_is_overwritten(authority: Authority) -> None:
    """Neither the authority nor what it has signed; each refusal says what to do."""
    before = (authority.folder / CA).read_bytes()
    with pytest.raises(PkiError, match="engine pki issue"):
        Authority.create(authority.folder)
    authority.issue(CUSTOMER)
    with pytest.raises(PkiError, match="engine pki renew customer"):
        authority.issue(CUSTOMER)
    with pytest.raises(PkiError, match="is there already"):
        authority.issue(Names(name="ca", hosts=("127.0.0.1",)))
    assert (authority.folder / CA).read_bytes() == before


def test_renewing_keeps_the_names_and_the_life_and_changes_the_key(
    authority: Authority, clock: ManualClock
) -> None:
    """The life begins anew."""
    first = authority.issue(CUSTOMER, days=3)
    key = (authority.folder / "customer.key").read_bytes()
    clock.advance(86_400)
    second = authority.renew(issued_in(authority.folder)[0])
    assert second.names.identity == first.names.identity
    assert second.ends - first.ends == timedelta(days=1)
    assert (authority.folder / "customer.key").read_bytes() != key
    assert files(authority, "customer").load(clock.now()).expires == second.ends


def test_a_certificate_is_due_in_the_last_third_of_its_life(
    authority: Authority, clock: ManualClock
) -> None:
    """Early enough that a renewal may fail for days."""
    issued = authority.issue(CUSTOMER, days=3)
    assert not issued.is_due(clock.now() + timedelta(days=1.9))
    assert issued.is_due(clock.now() + timedelta(days=2.1))


def test_an_authority_opens_again(authority: Authority) -> None:
    """What it signs then is believed by who believed it before."""
    again = Authority.open(authority.folder, clock=authority.clock)
    again.issue(CUSTOMER)
    certificate = x509.load_pem_x509_certificate((authority.folder / "customer.pem").read_bytes())
    certificate.verify_directly_issued_by(authority.certificate)


def test_without_an_authority_there_is_nothing_to_open(tmp_path: Path) -> None:
    """It says how to make one."""
    with pytest.raises(PkiError, match="engine pki init"):
        Authority.open(tmp_path)


def test_a_key_that_others_can_read_is_not_used(authority: Authority) -> None:
    """It may be in other hands."""
    (authority.folder / CA_KEY).chmod(0o640)
    with pytest.raises(PkiError, match="chmod 600"):
        Authority.open(authority.folder)


def test_the_key_of_another_authority_is_not_used(authority: Authority, tmp_path: Path) -> None:
    """What it signed would be believed by nobody."""
    other = Authority.create(tmp_path / "other")
    (other.folder / CA_KEY).replace(authority.folder / CA_KEY)
    with pytest.raises(PkiError, match="is not the key of"):
        Authority.open(authority.folder)


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (Names(name="Customer", hosts=("127.0.0.1",)), "is no name"),
        (Names(name="../x", hosts=("127.0.0.1",)), "is no name"),
        (Names(name="customer", hosts=()), "--host"),
        (Names(name="customer", hosts=("a b",)), "neither a host's name nor an address"),
        (Names(name="customer", hosts=("x" * 64 + ".bank",)), "neither a host's name"),
    ],
    ids=str,
)
def test_names_that_no_certificate_can_have_are_refused(
    authority: Authority, names: Names, why: str
) -> None:
    """Before anything is written."""
    with pytest.raises(PkiError, match=why):
        authority.issue(names)
    assert not issued_in(authority.folder)


@pytest.mark.parametrize("days", [0, -1, 398, 5000])
def test_a_life_that_is_no_life_or_too_long_is_refused(authority: Authority, days: float) -> None:
    """Nothing is called back: what was signed stays good until it ends."""
    with pytest.raises(PkiError, match="days"):
        authority.issue(CUSTOMER, days=days)


def test_nothing_outlives_the_authority(authority: Authority, clock: ManualClock) -> None:
    """It says how to go on with another."""
    clock.advance(725 * 86_400)
    with pytest.raises(PkiError, match="another one in a new folder"):
        authority.issue(CUSTOMER)
