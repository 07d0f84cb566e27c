"""Settings come from the environment, checked."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from mesh.settings import Settings, SettingsError, dump, load, to_environ


def test_defaults_need_no_environment() -> None:
    """An empty environment gives the embedded defaults."""
    settings = load({})
    assert settings == Settings()
    assert settings.gateway_port == 8080
    assert not settings.demo


def test_variables_of_others_are_left_alone() -> None:
    """Only ENGINE_* is ours."""
    assert load({"PATH": "/bin", "ENGINEER": "x"}) == Settings()


def test_values_are_read_by_the_type_of_their_default() -> None:
    """Numbers, flags and paths are parsed."""
    settings = load(
        {
            "ENGINE_GATEWAY_PORT": "0",
            "ENGINE_DEMO": "1",
            "ENGINE_VAR": "/tmp/x",
            "ENGINE_RATE_PER_S": "2.5",
        }
    )
    assert settings == Settings(gateway_port=0, demo=True, var=Path("/tmp/x"), rate_per_s=2.5)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("ENGINE_GATEWAY_PORT", "http", "must be a whole number"),
        ("ENGINE_GATEWAY_PORT", "70000", "must be between 0 and 65535"),
        ("ENGINE_GATEWAY_PORT", "-1", "must be between 0 and 65535"),
        ("ENGINE_RATE_PER_S", "fast", "must be a number"),
        ("ENGINE_RATE_PER_S", "nan", "must be between"),
        ("ENGINE_DEMO", "maybe", "use 1 or 0"),
        ("ENGINE_LOG_LEVEL", "LOUD", "use one of DEBUG, INFO, WARNING, ERROR"),
        ("ENGINE_VAR", "", "must not be empty"),
        ("ENGINE_GATEWAY_PROT", "1", "did you mean ENGINE_GATEWAY_PORT?"),
    ],
)
def test_a_bad_setting_is_refused_by_name_with_what_to_do(name: str, value: str, says: str) -> None:
    """The message names the variable and the bound."""
    with pytest.raises(SettingsError) as refused:
        load({name: value})
    assert name in str(refused.value)
    assert says in str(refused.value)


def test_all_bad_settings_are_told_at_once() -> None:
    """Nobody has to find them one by one."""
    with pytest.raises(SettingsError) as refused:
        load({"ENGINE_DEMO": "x", "ENGINE_DRAIN_S": "y"})
    assert "ENGINE_DEMO" in str(refused.value)
    assert "ENGINE_DRAIN_S" in str(refused.value)


def test_the_dump_marks_what_differs_from_the_default() -> None:
    """One line for each setting, with its meaning."""
    rows = {
        name: (value, help_, changed) for name, value, help_, changed in dump(Settings(demo=True))
    }
    assert len(rows) == len(fields(Settings))
    assert rows["ENGINE_DEMO"][0] == "true"
    assert rows["ENGINE_DEMO"][2]
    assert not rows["ENGINE_VAR"][2]
    assert all(help_ for _, help_, _ in rows.values())


def test_secrets_are_masked_in_the_dump() -> None:
    """What is secret shows that it is set, and no more."""
    rows = {name: value for name, value, _, _ in dump(Settings(otlp_token="hush"))}
    assert rows["ENGINE_OTLP_TOKEN"] == "***"
    assert {name: value for name, value, _, _ in dump(Settings())}["ENGINE_OTLP_TOKEN"] == ""


def test_settings_survive_the_way_through_the_environment() -> None:
    """A child process given `to_environ` has the same settings."""
    settings = Settings(demo=True, gateway_port=0, rate_per_s=1.5, var=Path("/tmp/y"))
    assert load(to_environ(settings)) == settings


@pytest.mark.parametrize(
    ("settings", "ratio"),
    [
        (Settings(), 0.01),
        (Settings(demo=True), 1.0),
        (Settings(demo=True, trace_sample=0.5), 0.5),
        (Settings(trace_sample=0.0), 0.0),
    ],
)
def test_the_demo_is_traced_wholly_unless_stated(settings: Settings, ratio: float) -> None:
    """-1 means: all in the demo, one in a hundred elsewhere."""
    assert settings.sample_ratio == ratio


@pytest.mark.parametrize(
    ("environ", "needs"),
    [
        ({"ENGINE_BUS": "redis"}, "ENGINE_REDIS_URL"),
        ({"ENGINE_SEQUENCER_LOG": "redis"}, "ENGINE_REDIS_URL"),
        ({"ENGINE_REPLICAS": "2"}, "ENGINE_DATABASE_URL"),
        ({"ENGINE_TLS_CERTIFICATE": "c", "ENGINE_TLS_KEY": "k"}, "ENGINE_TLS_CA go together"),
        ({"ENGINE_HOST": "0.0.0.0"}, "ENGINE_TLS_CERTIFICATE"),
        ({"ENGINE_HOST": "db1.bank.example"}, "ENGINE_ALLOW_PLAINTEXT=1"),
        ({"ENGINE_HOST": "::"}, "engine pki"),
    ],
)
def test_settings_that_need_another_are_refused_without_it(
    environ: dict[str, str], needs: str
) -> None:
    """Several processes of a service cannot share a file, nor is anything kept in no Redis."""
    with pytest.raises(SettingsError, match=needs):
        load(environ)


@pytest.mark.parametrize(
    "environ",
    [
        {"ENGINE_HOST": "127.0.0.2"},
        {"ENGINE_HOST": "::1"},
        {"ENGINE_HOST": "localhost"},
        {"ENGINE_HOST": "10.0.0.5", "ENGINE_ALLOW_PLAINTEXT": "1"},
        {
            "ENGINE_HOST": "10.0.0.5",
            "ENGINE_TLS_CERTIFICATE": "c",
            "ENGINE_TLS_KEY": "k",
            "ENGINE_TLS_CA": "a",
        },
    ],
    ids=str,
)
def test_other_hosts_are_let_in_with_tls_or_where_that_was_said(environ: dict[str, str]) -> None:
    """This machine's own addresses need neither."""
    assert load(environ).host == environ["ENGINE_HOST"]
