"""What one client has subscribed to, and what it was told: the state of one stream. No I/O.

The protocol is the "state of the world" form of xDS: a request has all names that the client
wants of one kind, and says which answer it has in hand. An answer that it refuses (a NACK) is
not sent again until what it says has changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.any_pb2 import Any as Packed

from engine.xds.v1.discovery_pb2 import DiscoveryRequest, DiscoveryResponse
from mesh.log import get_logger
from mesh.registry.xds.kinds import Kind
from mesh.registry.xds.resources import Resources

MAX_NAMES: Final = 1_000
"""Resources of one kind that a client may subscribe to."""
MAX_PROBLEM: Final = 300
"""Characters of a client's reason that are logged."""

_KINDS: Final = {kind.value: kind for kind in Kind}

_log = get_logger(__name__)


class TooManyNamesError(Exception):
    """A client asks for more than it may."""


@dataclass(slots=True)
class _Subscription:
    """`names` None: all there are. `sent` is what the client was told last of each name."""

    names: Sequence[str] | None
    nonce: str = ""
    sent: dict[str, Packed] = field(default_factory=dict)


class Session:
    """One stream.

    Args:
        resources: what there is.
    """

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._subscriptions: dict[Kind, _Subscription] = {}
        self._answers = 0
        self.refused = 0
        """Answers that the client could not use."""

    def asked(self, request: DiscoveryRequest) -> None:
        """Take a request in.

        Raises:
            TooManyNamesError: it names more than a client may subscribe to.
        """
        kind = _KINDS.get(request.type_url)
        if kind is None:
            return  # one that a later client may know
        if len(request.resource_names) > MAX_NAMES:
            raise TooManyNamesError
        known = self._subscriptions.get(kind)
        if known is None:
            takes_all = kind.is_told_whole and not request.resource_names
            names = None if takes_all else [*request.resource_names]
            self._subscriptions[kind] = _Subscription(names)
            return
        if request.response_nonce != known.nonce:
            return  # it is about an answer that another one has overtaken
        if request.HasField("error_detail"):
            self._refuse(kind, request)
        if known.names is not None or request.resource_names:
            known.names = [*request.resource_names]
            known.sent = {n: was for n, was in known.sent.items() if n in request.resource_names}

    def due(self) -> Iterator[DiscoveryResponse]:
        """The answers that the client has not had yet."""
        for kind in Kind:
            subscription = self._subscriptions.get(kind)
            if subscription is None:
                continue
            there = self._there(kind, subscription)
            news = {n: now for n, now in there.items() if now is not subscription.sent.get(n)}
            gone = kind.is_told_whole and subscription.sent.keys() - there.keys()
            if news or gone:
                yield self._answer(kind, subscription, there if kind.is_told_whole else news)

    def _there(self, kind: Kind, subscription: _Subscription) -> Mapping[str, Packed]:
        """What there is of what is subscribed to; what is as it was sent, is that object."""
        names = self._resources.names() if subscription.names is None else subscription.names
        found = {}
        for name in names:
            now, was = self._resources.get(kind, name), subscription.sent.get(name)
            if now is not None:
                found[name] = was if was is not None and was.value == now.value else now
            elif was is not None:
                found[name] = was
        return found

    def _answer(
        self, kind: Kind, subscription: _Subscription, resources: Mapping[str, Packed]
    ) -> DiscoveryResponse:
        self._answers += 1
        subscription.nonce = str(self._answers)
        if kind.is_told_whole:
            subscription.sent = dict(resources)
        else:
            subscription.sent.update(resources)
        return DiscoveryResponse(
            version_info=self._resources.version,
            resources=resources.values(),
            type_url=kind,
            nonce=subscription.nonce,
        )

    def _refuse(self, kind: Kind, request: DiscoveryRequest) -> None:
        self.refused += 1
        _log.error(
            "xds_answer_refused",
            kind=kind.name,
            node=request.node.id[:64],
            problem=request.error_detail.message[:MAX_PROBLEM],
        )
