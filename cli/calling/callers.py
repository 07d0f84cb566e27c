"""In whose name a call is made."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cli.connect import demo_runs
from cli.names import OPERATOR
from cli.output import fail
from mesh import context as wire
from mesh.context import Metadata

if TYPE_CHECKING:
    from mesh.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls: a user by his access token, a local identity by its key, both, or nobody."""

    token: str = ""
    service: str = ""

    @property
    def text(self) -> str:
        """Who it is, for people; empty for nobody."""
        user = "the user of the token" if self.token else ""
        return " through ".join(filter(None, (user, self.service)))

    def proofs(self, settings: Settings | None) -> Metadata:
        """The metadata that proves it. `settings` are needed for a local identity alone."""
        pairs: Metadata = ()
        if self.token:
            pairs += ((wire.AUTHORIZATION, f"Bearer {self.token}"),)
        if self.service:
            assert settings is not None
            pairs += ((wire.CALLER, _signed(self.service, settings)),)
        return pairs


NOBODY: Final = Caller()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who a person says he calls as: a demo user, a token or the file of one, a local identity."""

    user: str = ""
    token: str = ""
    service: str = ""

    @property
    def needs_settings(self) -> bool:
        """Whether it takes a platform on this machine to prove it."""
        return bool(self.user or self.service)

    def caller(self, settings: Settings | None) -> Caller:
        """The caller, with what proves him; ends the program when there is no proof.

        `settings` are those of the platform, needed as `needs_settings` says.
        """
        if self.user and self.token:
            fail("--as and --token both say which user calls", "Give one of them.", code=2)
        token = _given(self.token)
        if settings is not None:
            if self.service:
                _check_identity(self.service, settings)
            if self.user:
                token = _signed_on(self.user, settings)
        return Caller(token=token, service=self.service)


def _given(given: str) -> str:
    """A token as given, or from a file: "@path" keeps it out of the list of processes."""
    if not given.startswith("@"):
        return given.strip()
    try:
        return Path(given[1:]).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        fail(f"the token cannot be read: {error}", code=2)


def _signed_on(user: str, settings: Settings) -> str:
    """The access token of a demo user."""
    from cli.token import demo_tokens

    if not demo_runs(settings):
        fail(
            "users are signed on by name in the demo only",
            "Sign on as the user and give his access token: --token @FILE.",
        )
    (token,) = demo_tokens(user)
    return token


def _check_identity(service: str, settings: Settings) -> None:
    """End the program when this machine has no key of that local identity."""
    known = sorted(path.stem for path in settings.key_dir.glob("*.key"))
    if service in known or not known:
        return
    near = get_close_matches(service, known, n=1) or [OPERATOR]
    fail(
        f"there is no key of '{service}' in {settings.key_dir}",
        f"Did you mean '{near[0]}'? There are {', '.join(known)}.",
        code=2,
    )


def _signed(service: str, settings: Settings) -> str:
    from mesh.tokens import ServiceKey

    return ServiceKey.load(settings.key_dir, service).token()
