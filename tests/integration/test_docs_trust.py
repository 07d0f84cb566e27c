"""What docs/howto/trust.md shows works as it stands there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from mesh.pki import issued_in
from mesh.tls import Certificate

DOCUMENT = Path(__file__).parents[2] / "docs" / "howto" / "trust.md"


def test_certificates_are_made_used_renewed_and_replaced(
    run_document: Callable[..., str], tmp_path: Path
) -> None:
    """The page's commands, one after another in one folder."""
    said = run_document(DOCUMENT, {**os.environ, "ENGINE_VAR": str(tmp_path)})
    assert "{service}.pem" in said
    assert said.splitlines()[-1] == "2"
    pki = tmp_path / "pki"
    names = [issued.names.name for issued in issued_in(pki)]
    assert names == ["customer", "gateway", "host-1", "identity"]
    for name in names:
        Certificate(*(str(pki / file) for file in (f"{name}.pem", f"{name}.key", "ca.pem"))).load()
