"""Whatever people do to a definition, its life cycle keeps its promises."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mesh.definitions import DefinitionReason, State, Version
from mesh.definitions import _cycle as cycle
from mesh.errors import MeshError, MeshReason

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PEOPLE = st.sampled_from(["an", "bo", "chi"])
STALE = "stale"


class LifeCycle(RuleBasedStateMachine):
    """Three people do to one definition whatever comes to their minds."""

    @initialize(author=PEOPLE, body=st.text())
    def begin(self, author: str, body: str) -> None:
        self.ids = count(100)
        first = cycle.created(
            definition_id=1, version_id=next(self.ids), body=body, author=author, now=NOW
        )
        self.versions = [first]
        self.in_force: dict[int, Version[str]] = {}
        self.wrote: dict[int, set[str]] = {1: {author}}

    @property
    def newest(self) -> Version[str]:
        return self.versions[-1]

    @rule(author=PEOPLE)
    def draft(self, author: str) -> None:
        try:
            made = cycle.next_version(
                self.newest, version_id=next(self.ids), author=author, now=NOW
            )
        except MeshError:
            return
        self.wrote[made.version] = {author}
        self.versions.append(made)

    @rule(actor=PEOPLE, body=st.text(), etag=st.sampled_from(["", "present", STALE]))
    def edit(self, actor: str, body: str, etag: str) -> None:
        known = self.newest.etag if etag == "present" else etag
        before = self.newest
        self.step(lambda v: cycle.edited(v, lambda _: body, actor=actor, etag=known))
        if self.newest is not before:
            assert etag != STALE
            self.wrote[self.newest.version].add(actor)

    @rule(actor=PEOPLE)
    def submit(self, actor: str) -> None:
        self.step(lambda v: cycle.submitted(v, actor=actor))

    @rule(actor=PEOPLE)
    def withdraw(self, actor: str) -> None:
        self.step(lambda v: cycle.withdrawn(v, actor=actor))

    @rule(checker=PEOPLE)
    def publish(self, checker: str) -> None:
        self.step(lambda v: cycle.published(v, checker=checker, now=NOW))

    def step(self, decide: Callable[[Version[str]], Version[str]]) -> None:
        before = self.newest
        try:
            after = decide(before)
        except MeshError:
            return
        assert after.etag != before.etag, "a change that nobody can see"
        self.versions[-1] = after
        if after.is_published:
            self.in_force[after.version] = after

    @invariant()
    def published_versions_stay_as_they_were(self) -> None:
        for version, published in self.in_force.items():
            assert self.versions[version - 1] == published

    @invariant()
    def versions_have_no_gaps(self) -> None:
        versions = [one.version for one in self.versions]
        assert versions == list(range(1, len(versions) + 1))

    @invariant()
    def one_version_at_most_is_open_and_it_is_the_newest(self) -> None:
        assert all(one.is_published for one in self.versions[:-1])

    @invariant()
    def the_checker_has_written_nothing_of_what_he_published(self) -> None:
        for version, published in self.in_force.items():
            assert published.checker
            assert published.checker not in self.wrote[version]


TestLifeCycle = LifeCycle.TestCase


def version(state: State) -> Version[str]:
    return Version(
        definition_id=1,
        version=1,
        version_id=9,
        body="body",
        state=state,
        author="an",
        create_time=NOW,
    )


Step = Callable[[Version[str]], Version[str]]
AUTHOR_STEPS: dict[str, tuple[State, Step]] = {
    "edit": (State.DRAFT, lambda v: cycle.edited(v, str.upper, actor="an")),
    "submit": (State.DRAFT, lambda v: cycle.submitted(v, actor="an")),
    "withdraw": (State.REVIEW, lambda v: cycle.withdrawn(v, actor="an")),
}
REFUSALS = {
    State.DRAFT: DefinitionReason.NOT_A_DRAFT,
    State.REVIEW: DefinitionReason.NOT_IN_REVIEW,
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("name", AUTHOR_STEPS)
def test_each_step_starts_from_one_state(name: str, state: State) -> None:
    """Elsewhere it is refused, and the error says where the version stands."""
    start, step = AUTHOR_STEPS[name]
    if state is start:
        assert step(version(state)).revision == 2
        return
    with pytest.raises(MeshError) as refused:
        step(version(state))
    assert refused.value.reason is REFUSALS[start]
    assert refused.value.metadata["state"] == state.name


@pytest.mark.parametrize("state", [State.DRAFT, State.PUBLISHED])
def test_only_what_is_in_review_is_published(state: State) -> None:
    """A draft is not ready, and a published version needs nothing more."""
    with pytest.raises(MeshError) as refused:
        cycle.published(version(state), checker="bo", now=NOW)
    assert refused.value.reason is DefinitionReason.NOT_IN_REVIEW


def test_others_do_not_touch_an_open_version() -> None:
    """Else the checker might have written it."""
    steps: list[tuple[State, Step]] = [
        (State.DRAFT, lambda v: cycle.edited(v, str.upper, actor="bo")),
        (State.DRAFT, lambda v: cycle.submitted(v, actor="bo")),
        (State.REVIEW, lambda v: cycle.withdrawn(v, actor="bo")),
    ]
    for state, step in steps:
        with pytest.raises(MeshError) as refused:
            step(version(state))
        assert refused.value.reason is DefinitionReason.NOT_THE_AUTHOR


@pytest.mark.parametrize("checker", ["an", ""])
def test_the_author_and_nobody_do_not_publish(checker: str) -> None:
    """Whatever the interceptor thought of it."""
    with pytest.raises(MeshError) as refused:
        cycle.published(version(State.REVIEW), checker=checker, now=NOW)
    assert refused.value.reason is MeshReason.CHECKER_IS_MAKER


def test_a_checker_publishes_what_he_has_seen() -> None:
    """What was withdrawn, changed and submitted again has another etag."""
    seen = version(State.REVIEW)
    changed = cycle.submitted(
        cycle.edited(cycle.withdrawn(seen, actor="an"), str.upper, actor="an"), actor="an"
    )
    with pytest.raises(MeshError) as refused:
        cycle.published(changed, checker="bo", now=NOW, etag=seen.etag)
    assert refused.value.reason is DefinitionReason.DEFINITION_ETAG_MISMATCH
    assert cycle.published(changed, checker="bo", now=NOW, etag=changed.etag).body == "BODY"
