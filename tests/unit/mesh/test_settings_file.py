"""Settings in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh.settings import SettingsError, load
from mesh.settings_file import environ_with


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "production.env"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("open sesame\n")
    path.chmod(0o600)
    return path


def test_lines_are_read_as_a_shell_reads_them(file: Path) -> None:
    """Comments, quotes, an empty value and `export` mean what they mean there."""
    file.write_text(
        "# a comment\n\n  # another\n"
        "ENGINE_GATEWAY_PORT=81   # why\n"
        "export ENGINE_VAR='/srv/my engine'\n"
        'ENGINE_OTLP_ENDPOINT="host:4317"\n'
        "ENGINE_DATABASE_URL=\n"
    )
    settings = load(environ_with(file, {}))
    assert settings.gateway_port == 81
    assert settings.var == Path("/srv/my engine")
    assert settings.otlp_endpoint == "host:4317"
    assert settings.database_url == ""


def test_every_line_that_is_no_setting_is_told_with_its_number(file: Path) -> None:
    """Unknown names, bad values and what is no assignment, all at once."""
    file.write_text(
        "ENGINE_GATEWAY_PROT=1\nENGINE_DEMO=maybe\nPATH=/bin\nENGINE_VAR='x\n"
        "ENGINE_HOST=a b\nENGINE_SEED=1\nENGINE_SEED=2\n"
    )
    with pytest.raises(SettingsError) as refused:
        environ_with(file, {})
    told = str(refused.value).splitlines()
    assert [line.split(":")[1] for line in told] == ["1", "2", "3", "4", "5", "7"]
    assert "did you mean ENGINE_GATEWAY_PORT?" in told[0]


def test_the_environment_wins(file: Path, secret: Path) -> None:
    """A setting, and a secret however it is given, can be replaced for one start."""
    file.write_text(f"ENGINE_DRAIN_S=1\nENGINE_REDIS_PASSWORD_FILE={secret}\n")
    environ = {"ENGINE_DRAIN_S": "2", "ENGINE_REDIS_PASSWORD": "other", "HOME": "/root"}
    found = environ_with(file, environ)
    assert found == environ
    assert load(found).redis_password == "other"


def test_a_secret_may_stand_in_a_file_of_its_own(secret: Path) -> None:
    """The end of its line is not part of it."""
    assert load({"ENGINE_DATABASE_PASSWORD_FILE": str(secret)}).database_password == "open sesame"


def test_a_secret_that_others_can_read_is_refused(secret: Path) -> None:
    """The message says what to do, and not the secret."""
    secret.chmod(0o640)
    with pytest.raises(SettingsError, match="chmod 600") as refused:
        load({"ENGINE_DATABASE_PASSWORD_FILE": str(secret)})
    assert "sesame" not in str(refused.value)


def test_a_secret_is_not_set_twice(secret: Path) -> None:
    """Nobody has to guess which of the two holds."""
    environ = {"ENGINE_REDIS_PASSWORD": "x", "ENGINE_REDIS_PASSWORD_FILE": str(secret)}
    with pytest.raises(SettingsError, match="twice"):
        load(environ)


def test_only_secrets_stand_in_files_of_their_own(secret: Path) -> None:
    """`ENGINE_VAR_FILE` is no setting."""
    with pytest.raises(SettingsError, match="no such setting"):
        load({"ENGINE_VAR_FILE": str(secret)})


def test_a_file_that_is_not_there_is_told(file: Path) -> None:
    """By its path."""
    with pytest.raises(SettingsError, match=r"production\.env"):
        environ_with(file, {})
