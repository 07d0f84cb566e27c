"""What the gateway answers itself: its health and its documentation, all from memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Final

import swagger_ui_bundle

from gateway.errors import EdgeText
from gateway.http import Header, Request, Response
from gateway.problems import HTTP_STATUS
from gateway.surface import Page
from mesh.errors import Reason

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "style-src-attr 'unsafe-inline'; "  # Swagger UI sizes its parts so
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final[tuple[Header, ...]] = (
    (b"content-security-policy", _POLICY.encode("ascii")),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
_CACHED: Final[Header] = (b"cache-control", b"public, max-age=3600")
_FRESH: Final[Header] = (b"cache-control", b"no-cache")
_HTML = b"text/html; charset=utf-8"
_CSS = b"text/css; charset=utf-8"
_SCRIPT = b"text/javascript; charset=utf-8"

_INDEX = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Engine API</title>
<link rel="icon" type="image/png" href="/docs/favicon.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""

_START = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
});
"""

_STYLE = """body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; }
table { border-collapse: collapse; }
th, td { border-bottom: 1px solid #ccc; padding: .4rem .8rem; text-align: left; }
tr:target { background: #fff3bf; }
"""


def pages(openapi: Callable[[], bytes], ready: Callable[[], bool]) -> tuple[Page, ...]:
    """The pages.

    Args:
        openapi: the OpenAPI document at the moment.
        ready: whether requests can be served at the moment.
    """

    def healthz(_: Request) -> Response:
        if ready():
            return Response(body=b'{"status":"SERVING"}', headers=(_FRESH,))
        return Response(status=503, body=b'{"status":"NOT_SERVING"}', headers=(_FRESH,))

    def document(_: Request) -> Response:
        return Response(body=openapi(), headers=(*_HEADERS, _FRESH))

    def errors(_: Request) -> Response:
        body = errors_page().encode()
        return Response(body=body, content_type=_HTML, headers=(*_HEADERS, _FRESH))

    return (
        # Free of charge: whoever watches must not be locked out by a limit.
        Page(path="/healthz", answer=healthz, cost=0),
        Page(path="/openapi.json", answer=document),
        Page(path="/docs/errors", answer=errors),
        *_static_pages(),
    )


def errors_page() -> str:
    """The reasons known to this process, in both languages, as HTML; `#REASON` leads to each."""
    rows = "\n".join(_row(reason) for reason in _reasons())
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<title>Errors 错误码</title>\n<link rel="stylesheet" href="/docs/errors.css">\n'
        "</head>\n<body>\n<h1>Errors 错误码</h1>\n<table>\n<thead><tr>"
        "<th>Reason</th><th>HTTP</th><th>gRPC</th><th>Meaning 含义</th><th>Next step</th>"
        f"</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n</body>\n</html>\n"
    )


def _row(reason: Reason) -> str:
    text = reason.text
    status = text.http_status if isinstance(text, EdgeText) else HTTP_STATUS[text.code]
    return (
        f'<tr id="{reason.name}"><td><code>{reason.name}</code></td><td>{status}</td>'
        f"<td>{text.code.name}</td><td>{escape(text.english)}<br>"
        f'<span lang="zh-CN">{escape(text.chinese)}</span></td>'
        f"<td>{escape(text.next_step)}</td></tr>"
    )


def _reasons() -> list[Reason]:
    found = {reason.name: reason for kind in _subclasses(Reason) for reason in kind}
    return [found[name] for name in sorted(found)]


def _subclasses(kind: type[Reason]) -> Iterator[type[Reason]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def _static_pages() -> Iterator[Page]:
    folder = Path(swagger_ui_bundle.swagger_ui_path)
    files = (
        ("/docs", _INDEX.encode(), _HTML),
        ("/docs/start.js", _START.encode(), _SCRIPT),
        ("/docs/errors.css", _STYLE.encode(), _CSS),
        ("/docs/swagger-ui.css", (folder / "swagger-ui.css").read_bytes(), _CSS),
        ("/docs/swagger-ui-bundle.js", (folder / "swagger-ui-bundle.js").read_bytes(), _SCRIPT),
        ("/docs/favicon.png", (folder / "favicon-32x32.png").read_bytes(), b"image/png"),
    )
    for path, body, content_type in files:
        response = Response(body=body, content_type=content_type, headers=(*_HEADERS, _CACHED))
        yield Page(path=path, answer=_always(response))


def _always(response: Response) -> Callable[[Request], Response]:
    return lambda _: response
