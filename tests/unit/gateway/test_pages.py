"""The gateway's own pages."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from gateway.errors import GatewayReason
from gateway.http import Request, Response
from gateway.pages import errors_page, pages
from mesh.errors import MeshReason

REQUEST = Request(method="GET", path="/", query="", headers={}, body=b"")


def answers(*, ready: bool = True) -> dict[str, Response]:
    found = pages(lambda: b'{"openapi":"3.0.3"}', lambda: ready)
    return {page.path: page.answer(REQUEST) for page in found}


class Links(HTMLParser):
    """Collects what a page loads, and refuses what a strict policy would."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.found += [value for name in ("src", "href") if (value := values.get(name))]
        assert not any(name.startswith("on") or name == "style" for name in values)
        assert tag != "style"
        assert tag != "script" or values.get("src")


@pytest.mark.parametrize("path", ["/docs", "/docs/errors"])
def test_pages_load_only_what_is_served_here(path: str) -> None:
    """They work without any network, under a policy that allows nothing else."""
    served = answers()
    links = Links()
    links.feed(served[path].body.decode())
    assert links.found
    assert set(links.found) <= served.keys()
    policy = dict(served[path].headers)[b"content-security-policy"].decode()
    assert "default-src 'none'" in policy
    assert "'unsafe-inline'" not in re.sub(r"style-src-attr [^;]*", "", policy)


def test_files_have_their_content_types() -> None:
    """Browsers are told not to guess."""
    types = {path: response.content_type for path, response in answers().items()}
    assert types["/docs"].startswith(b"text/html")
    assert types["/docs/swagger-ui.css"].startswith(b"text/css")
    assert types["/docs/swagger-ui-bundle.js"].startswith(b"text/javascript")
    assert types["/docs/favicon.png"] == b"image/png"
    assert types["/openapi.json"] == b"application/json"
    for path, response in answers().items():
        if path != "/healthz":
            assert (b"x-content-type-options", b"nosniff") in response.headers


def test_documentation_shows_the_document_of_this_gateway() -> None:
    """And sends it to no validator elsewhere."""
    script = answers()["/docs/start.js"].body.decode()
    assert '"/openapi.json"' in script
    assert "validatorUrl: null" in script


def test_health_follows_readiness() -> None:
    """200 when requests can be served, else 503; asking is free."""
    assert answers()["/healthz"].status == 200
    assert answers()["/healthz"].body == b'{"status":"SERVING"}'
    assert answers(ready=False)["/healthz"].status == 503
    (page,) = [page for page in pages(lambda: b"", lambda: True) if page.path == "/healthz"]
    assert page.cost == 0


def test_every_reason_is_explained_in_both_languages() -> None:
    """At the anchor that problem+json links to."""
    html = errors_page()
    for reason in (*GatewayReason, *MeshReason):
        assert f'id="{reason.name}"' in html
        assert reason.text.chinese in html
    assert "<td>431</td>" in html
