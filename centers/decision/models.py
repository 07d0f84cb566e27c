"""Use cases of models: draft, submit, launch, pause."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar

from google.protobuf.message import Message

from centers.decision.domain import Status
from centers.decision.errors import DecisionReason
from centers.decision.reserve import Ids
from centers.decision.rule import rule_of
from centers.decision.store import DecisionStore
from engine.decision.v1 import decision_pb2 as pb
from mesh import audit
from mesh.clock import Clock, to_micros
from mesh.contract import Method
from mesh.definitions import Definitions, Version
from mesh.errors import MeshError
from mesh.paging import Page, PageRequest
from mesh.storage import Transaction

KIND: Final = "model"

BACKTEST_HOLDS: Final = timedelta(days=7)
"""How old the backtest of what is submitted or launched may be."""

Shown = tuple[Version[pb.Model], Status]
"""A version of a model, and whether it looks at events."""

Answer = TypeVar("Answer", bound=Message)
Respond = Callable[[Shown], Answer]
"""Makes the answer of a call, to be kept with its effect."""


class Models:
    """Takes models through their life: IDLE → LIVE ⇄ PAUSED → RETIRED, a version at a time."""

    def __init__(
        self,
        store: DecisionStore,
        definitions: Definitions[pb.Model],
        ids: Ids,
        clock: Clock,
    ) -> None:
        self._store = store
        self._definitions = definitions
        self._ids = ids
        self._clock = clock

    async def draft(
        self, model_id: int, body: pb.Model, author: str, respond: Respond[Answer]
    ) -> Answer:
        """Draft a new model, or with an id the next version of a known one.

        Raises:
            MeshError: as `rule_of`, or DEFINITION_NOT_FOUND, OPEN_VERSION_EXISTS,
                IDS_UNAVAILABLE.
        """
        rule_of(body)
        version_id = await self._ids.next()
        new_id = 0 if model_id else await self._ids.next()
        async with self._store.transaction() as tx:
            if model_id:
                of = self._definitions
                await of.draft(tx, model_id, version_id=version_id, author=author)
                made = await of.edit(tx, model_id, lambda _: body, actor=author)
            else:
                audit.note(object=f"model.definition.definition_id={new_id}")
                made = await self._definitions.create(
                    tx, definition_id=new_id, version_id=version_id, body=body, author=author
                )
            answer = respond((made, Status.IDLE))
            tx.answer(answer)
        return answer

    async def update(self, model_id: int, body: pb.Model, *, actor: str, etag: str) -> Shown:
        """Replace the draft.

        Raises:
            MeshError: as `rule_of` and `Definitions.edit`.
        """
        rule_of(body)
        async with self._store.transaction() as tx:
            made = await self._definitions.edit(
                tx, model_id, lambda _: body, actor=actor, etag=etag
            )
        return made, Status.IDLE

    async def get(self, model_id: int, version: int) -> Shown:
        """A version; 0 for the newest.

        Raises:
            MeshError: DEFINITION_NOT_FOUND.
        """
        found = await self._definitions.get(model_id, version)
        (shown,) = await self._shown([found])
        return shown

    async def page(self, request: PageRequest) -> Page[Shown]:
        """A page of the models, each in its newest version, newest first.

        Raises:
            MeshError: PAGE_TOKEN_INVALID.
        """
        found = await self._definitions.page(request)
        return Page(await self._shown(found.entries), found.next_token)

    async def submit(self, model_id: int, actor: str, respond: Respond[Answer]) -> Answer:
        """Put the draft forward.

        Raises:
            MeshError: SCENE_NEEDED, BACKTEST_NEEDED, or as `Definitions.submit`.
        """
        async with self._store.transaction() as tx:
            made = await self._definitions.submit(tx, model_id, actor=actor)
            if not made.body.scene_id:
                raise MeshError(DecisionReason.SCENE_NEEDED)
            await self._need_backtest(tx, made, revision=made.revision - 1)
            answer = respond((made, Status.IDLE))
            tx.answer(answer)
        return answer

    async def launch(self, model_id: int, checker: str, respond: Respond[Answer]) -> Answer:
        """Publish the submitted version and make it live; the one before retires.

        Events are evaluated in transactions of the same store, which come before
        this one or after: so each meets one of both versions.

        Raises:
            MeshError: CHECKER_IS_MAKER, BACKTEST_NEEDED, or as `Definitions.publish`.
        """
        now_us = to_micros(self._clock.now())
        async with self._store.transaction() as tx:
            made = await self._definitions.publish(tx, model_id, checker=checker)
            # Neither submitting nor publishing changed the content.
            await self._need_backtest(tx, made, revision=made.revision - 2)
            await self._store.launches.start(tx, model_id, made.version, made.body, now_us)
            answer = respond((made, Status.LIVE))
            tx.answer(answer)
        return answer

    async def pause(self, model_id: int, respond: Respond[Answer]) -> Answer:
        """Stop the live version: nothing fires it once this returns.

        Raises:
            MeshError: MODEL_NOT_LIVE or DEFINITION_NOT_FOUND.
        """
        reason = DecisionReason.MODEL_NOT_LIVE
        return await self._switch(model_id, Status.LIVE, Status.PAUSED, reason, respond)

    async def resume(self, model_id: int, respond: Respond[Answer]) -> Answer:
        """Let the paused version fire again, on events that come from now on.

        Raises:
            MeshError: MODEL_NOT_PAUSED or DEFINITION_NOT_FOUND.
        """
        reason = DecisionReason.MODEL_NOT_PAUSED
        return await self._switch(model_id, Status.PAUSED, Status.LIVE, reason, respond)

    async def author(self, method: Method, row: Any) -> str | None:  # noqa: ARG002 - all are launches
        """Who wrote the model that is about to be launched (`mesh.service.AuthorResolver`)."""
        return await self._definitions.author(row)

    async def _switch(
        self,
        model_id: int,
        before: Status,
        after: Status,
        reason: DecisionReason,
        respond: Respond[Answer],
    ) -> Answer:
        async with self._store.transaction() as tx:
            await self._definitions.get(model_id)
            if not await self._store.launches.move(tx, model_id, (before,), after):
                raise MeshError(reason)
            launched = await self._store.launches.last(tx, model_id)
            assert launched is not None, "a version that was moved is there"
            found = await self._definitions.get(model_id, launched.version)
            answer = respond((found, after))
            tx.answer(answer)
        return answer

    async def _shown(self, versions: Sequence[Version[pb.Model]]) -> Sequence[Shown]:
        known = await self._store.launches.statuses([each.definition_id for each in versions])
        return [
            (each, known.get((each.definition_id, each.version), Status.IDLE)) for each in versions
        ]

    async def _need_backtest(
        self, tx: Transaction, version: Version[pb.Model], *, revision: int
    ) -> None:
        since_us = to_micros(self._clock.now() - BACKTEST_HOLDS)
        if not await self._store.backtests.has(tx, version.version_id, revision, since_us):
            raise MeshError(
                DecisionReason.BACKTEST_NEEDED, metadata={"version": str(version.version)}
            )
