"""Where registries of leases are."""

from __future__ import annotations

import pytest

from mesh.registry.addresses import own_port
from mesh.settings import Settings, SettingsError

REDIS = "redis://127.0.0.1:6379"


def test_without_a_registry_the_folder_of_the_host_is_one() -> None:
    """Nothing has to be configured on one host."""
    assert Settings().registries == ()
    assert own_port(Settings()) is None


def test_registries_are_named_best_first() -> None:
    """Blanks do no harm."""
    settings = Settings(registry="a:1, b:2,", redis_url=REDIS)
    assert settings.registries == ("a:1", "b:2")


@pytest.mark.parametrize("text", ["a", "a:", ":1", "a:b", "a:0", "a:65536"])
def test_what_is_no_address_is_named(text: str) -> None:
    """With the setting that it stands in."""
    with pytest.raises(SettingsError, match=f"ENGINE_REGISTRY: '{text}'"):
        Settings(registry=text)


def test_a_host_that_is_named_runs_a_registry_there_and_no_other_does() -> None:
    """By the address that it listens on."""
    named = Settings(registry="10.0.0.1:5,127.0.0.1:6", redis_url=REDIS)
    assert own_port(named) == 6
    assert own_port(Settings(registry="10.0.0.1:5")) is None


def test_several_registries_need_a_table_that_they_share() -> None:
    """Each would else know those alone that came to it."""
    with pytest.raises(SettingsError, match="ENGINE_REDIS_URL"):
        Settings(registry="a:1,b:2")


def test_one_lost_message_must_not_take_an_instance_out() -> None:
    """At most half of a lease passes between two."""
    Settings(registry_lease_s=4.0, registry_renew_s=2.0)
    with pytest.raises(SettingsError, match="at most half"):
        Settings(registry_lease_s=4.0, registry_renew_s=2.1)
