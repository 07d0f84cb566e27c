"""Which files are fit for use, and how new ones are taken."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from mesh.clock import ManualClock
from mesh.pki import CA, Authority, Names, issued_in
from mesh.telemetry import Meters
from mesh.tls import Certificate, CertificateError, Credentials, service_in

NAMES = Names(name="customer", hosts=("127.0.0.1",))
DAY_S = 86_400


@dataclass
class Place:
    """An authority, and the files of a service that it has signed."""

    authority: Authority
    clock: ManualClock
    meters: Meters

    @property
    def files(self) -> Certificate:
        folder = self.authority.folder
        return Certificate(*(str(folder / name) for name in ("customer.pem", "customer.key", CA)))

    def credentials(self) -> Credentials:
        return Credentials(self.files, clock=self.clock, meters=self.meters)

    def renew(self) -> None:
        self.authority.renew(issued_in(self.authority.folder)[0])

    def read(self, name: str) -> float:
        gauge = self.meters.gauges.get(name)
        return self.meters.counters[name].value if gauge is None else gauge()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    clock = ManualClock()
    authority = Authority.create(tmp_path / "pki", clock=clock)
    authority.issue(NAMES, days=3)
    return Place(authority, clock, Meters())


def look(credentials: Credentials) -> None:
    """Twice: what changed is taken once it is settled."""
    credentials.look()
    credentials.look()


def test_files_that_were_replaced_are_taken_once_they_are_settled(place: Place) -> None:
    """The first look after a change may come between two files."""
    credentials = place.credentials()
    before = credentials.loaded
    look(credentials)
    assert (credentials.version, credentials.loaded) == (1, before)
    place.clock.advance(DAY_S)
    place.renew()
    credentials.look()
    assert credentials.loaded is before
    credentials.look()
    assert credentials.version == 2
    assert credentials.loaded.expires > before.expires
    look(credentials)
    assert credentials.version == 2


def spoil_certificate(place: Place) -> None:
    Path(place.files.certificate).write_text("no certificate")


def lose_key(place: Place) -> None:
    Path(place.files.key).unlink()


def mix(place: Place) -> None:
    """Another certificate's key."""
    place.authority.issue(Names(name="ark", hosts=("127.0.0.1",)))
    (place.authority.folder / "ark.key").replace(place.files.key)


def expire(place: Place) -> None:
    place.renew()
    place.clock.advance(4 * DAY_S)


def change_authority(place: Place) -> None:
    other = Authority.create(place.authority.folder / "other", clock=place.clock)
    (other.folder / CA).replace(place.files.ca)


def too_long(place: Place) -> None:
    with Path(place.files.certificate).open("ab") as file:
        file.write(b"\n" * (1 << 20))


BAD = {
    spoil_certificate: "PEM",
    lose_key: "No such file",
    mix: "KEY_VALUES_MISMATCH",
    expire: "expired on",
    change_authority: "of no authority",
    too_long: "too long",
}


@pytest.mark.parametrize("spoil", BAD)
def test_files_that_cannot_be_used_are_refused_and_the_old_ones_stay(
    place: Place, spoil: object, caplog: pytest.LogCaptureFixture
) -> None:
    """Once for each change; it is counted and logged."""
    credentials = place.credentials()
    before = credentials.loaded
    assert callable(spoil)
    spoil(place)
    look(credentials)
    look(credentials)
    assert (credentials.version, credentials.loaded) == (1, before)
    assert place.read("mesh.certificates_refused") == 1
    assert "certificate_refused" in caplog.text


@pytest.mark.parametrize(("spoil", "why"), BAD.items())
def test_at_the_start_there_is_nothing_to_fall_back_on(
    place: Place, spoil: object, why: str
) -> None:
    """The error names the settings and what is wrong."""
    assert callable(spoil)
    spoil(place)
    with pytest.raises(CertificateError, match="ENGINE_TLS_CERTIFICATE") as failed:
        place.credentials()
    assert why in str(failed.value)


def test_a_clock_that_is_late_is_told_of(place: Place) -> None:
    """A certificate that is not in force yet is no use either."""
    place.clock.advance(-3600)
    with pytest.raises(CertificateError, match="not in force before"):
        place.credentials()


def test_a_good_file_after_a_bad_one_is_taken(place: Place) -> None:
    """Nobody has to restart anything."""
    credentials = place.credentials()
    good = Path(place.files.certificate).read_bytes()
    spoil_certificate(place)
    look(credentials)
    Path(place.files.certificate).write_bytes(good)
    look(credentials)
    assert credentials.version == 2
    assert place.read("mesh.certificates_renewed") == 1


def test_when_the_certificate_expires_is_shown(place: Place) -> None:
    """In seconds since 1970, of the one in use."""
    credentials = place.credentials()
    assert place.read("mesh.certificate_expires") == credentials.loaded.expires.timestamp()


@pytest.mark.parametrize(
    ("identity", "service"),
    [
        ("spiffe://engine/customer", "customer"),
        ("spiffe://engine/host/host-1", ""),
        ("spiffe://other/customer", ""),
        ("https://engine/customer", ""),
    ],
)
def test_only_the_identity_of_a_service_proves_one(identity: str, service: str) -> None:
    """A host's, or another domain's, proves none."""
    assert service_in({"peer_spiffe_id": [identity.encode()]}) == service
    assert service_in({}) == ""
