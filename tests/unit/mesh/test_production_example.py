"""The settings that we ship for production."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from mesh.settings import PREFIX, Settings, load
from mesh.settings_file import environ_with

EXAMPLE = Path(__file__).parents[3] / "deploy" / "production.example.env"
OF_THE_DEMO = {"demo_scale", "seed"}
PASSWORDS = {"ENGINE_DATABASE_PASSWORD": "d", "ENGINE_REDIS_PASSWORD": "r"}


def test_the_example_loads() -> None:
    """As it stands: MariaDB, Redis, two processes of each service, no demo."""
    settings = load(environ_with(EXAMPLE, PASSWORDS))
    assert settings.replicas == 2
    assert settings.bus == "redis"
    assert settings.database_url
    assert not settings.demo


def test_the_example_names_every_setting() -> None:
    """Who reads it needs to look for no other; what is commented out shows the default."""
    text = EXAMPLE.read_text()
    named = {
        name.removesuffix("_FILE") for name in re.findall(r"^#?(ENGINE_\w+)=", text, re.MULTILINE)
    }
    assert named == {PREFIX + f.name.upper() for f in fields(Settings) if f.name not in OF_THE_DEMO}
    hidden = dict(re.findall(r"^#(ENGINE_\w+)=(\S+)$", text, re.MULTILINE))
    hidden.pop("ENGINE_OTLP_TOKEN_FILE")
    assert load(hidden) == Settings()


def test_the_example_tells_the_bounds_of_every_number() -> None:
    """As the settings have them, in the comment above the line."""
    said = ""
    numbers = {
        PREFIX + f.name.upper(): f.metadata
        for f in fields(Settings)
        if type(f.default) in (int, float) and f.metadata["high"]
    }
    for line in EXAMPLE.read_text().splitlines():
        name = line.removeprefix("#").partition("=")[0]
        if name not in numbers:
            said = said + line if line.startswith("# ") else ""
        elif numbers[name]["high"] < 1 << 20:
            assert f"{numbers[name]['high']:.10g}" in said.replace(",", ""), name


def test_the_example_holds_no_secret() -> None:
    """Secrets stand in files of their own."""
    secrets = [f.name.upper() for f in fields(Settings) if f.metadata["secret"]]
    for name in secrets:
        assert not re.search(rf"^#?{PREFIX}{name}=", EXAMPLE.read_text(), re.MULTILINE)
