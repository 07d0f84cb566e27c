"""HTTP rules that stand in files, for contracts that carry none.

The form is that of Google's service configuration, with the policy beside each rule,
since a contract from elsewhere has none of ours:

    http:
      rules:
      - selector: shop.v1.Orders.GetOrder
        get: /v1/{name=orders/*}
        permission: order.read
        additional_bindings:
        - get: /legacy/orders/{name}
          lax: true

An operator writes these files: what is wrong in one is told with its place before anything
is served. Whether a rule fits the contract is seen when the contract is, as with rules that
stand in contracts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from google.api.http_pb2 import HttpRule
from google.protobuf import duration_pb2
from google.protobuf.descriptor_pool import DescriptorPool

from engine.mesh.v1 import policy_pb2
from gateway import templates
from gateway.codec import FieldError, duration
from gateway.documents import Node, RuleFileError, documents
from gateway.templates import TemplateError
from mesh.settings import SettingsError

METHODS: Final = ("get", "put", "post", "delete", "patch", "custom")
_ROUTE: Final = frozenset({*METHODS, "body", "response_body", "lax"})
_POLICY: Final = frozenset({"permission", "anonymous", "cost", "timeout"})
_RULE: Final = _ROUTE | _POLICY | {"selector", "additional_bindings"}
_HEADER: Final = frozenset({"type", "config_version", "name", "title", "http"})
"""What a service configuration may begin with; more would be passed over in silence."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, and whether its route is lax."""

    http: HttpRule
    lax: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a file says of a method.

    `where` is "file:line". `policy` is None when the file states none.
    """

    where: str
    rules: tuple[Rule, ...]
    policy: policy_pb2.MethodPolicy | None


@dataclass(frozen=True, slots=True)
class Rulebook:
    """The entries of all files, by the full name of the method."""

    entries: Mapping[str, Entry] = field(default_factory=dict)

    def astray(self, pool: DescriptorPool, services: Iterable[str]) -> Iterator[str]:
        """What is said of methods that these services do not have, with its place."""
        known = {name: pool.FindServiceByName(name).methods_by_name for name in services}
        for selector, entry in self.entries.items():
            service, _, method = selector.rpartition(".")
            if service in known and method not in known[service]:
                yield f"{entry.where}: {service} has no method {method}"


NO_RULES: Final = Rulebook()


def load(folder: str) -> Rulebook:
    """Read every `.yaml` and `.yml` file of a folder; none when its name is empty.

    Raises:
        SettingsError: the folder cannot be read, or files in it cannot be used; says which,
            where and why.
    """
    if not folder:
        return NO_RULES
    if not Path(folder).is_dir():
        raise SettingsError(f"ENGINE_GATEWAY_RULES={folder} is no folder")
    entries: dict[str, Entry] = {}
    problems: list[str] = []
    for path in sorted(Path(folder).iterdir()):
        if path.suffix not in {".yaml", ".yml"}:
            continue
        try:
            _take(entries, dict(_entries(path)))
        except RuleFileError as error:
            problems.append(str(error))
    if problems:
        raise SettingsError("\n".join(problems))
    return Rulebook(entries)


def _take(entries: dict[str, Entry], found: Mapping[str, Entry]) -> None:
    for selector, entry in found.items():
        if selector in entries:
            raise RuleFileError(f"{entry.where}: {selector} is in {entries[selector].where} too")
    entries.update(found)


def _entries(path: Path) -> Iterator[tuple[str, Entry]]:
    seen: dict[str, str] = {}
    for document in documents(path):
        http = document.members(_HEADER).get("http")
        rules = http.members(frozenset({"rules"})).get("rules") if http else None
        for node in rules.items() if rules else ():
            members = node.members(_RULE)
            selector = node.needed(members, "selector").text()
            if selector in seen:
                raise node.error(f"{selector} is at {seen[selector]} already")
            seen[selector] = node.where
            yield selector, _entry(node, members)


def _entry(node: Node, members: Mapping[str, Node]) -> Entry:
    more = members.get("additional_bindings")
    bindings = more.items() if more else ()
    return Entry(
        where=node.where,
        rules=(_rule(node, members), *(_rule(b, b.members(_ROUTE)) for b in bindings)),
        policy=_policy(node, members),
    )


def _rule(node: Node, members: Mapping[str, Node]) -> Rule:
    stated = [name for name in METHODS if name in members]
    if len(stated) != 1:
        raise node.error(f"it needs one of {', '.join(METHODS)}, and has {len(stated)}")
    found = members[stated[0]]
    rule = HttpRule(**{n: members[n].text() for n in ("body", "response_body") if n in members})
    if stated[0] == "custom":
        custom = found.members(frozenset({"kind", "path"}))
        rule.custom.kind = found.needed(custom, "kind").text()
        found = found.needed(custom, "path")
        rule.custom.path = found.text()
    else:
        setattr(rule, stated[0], found.text())
    try:
        templates.parse(found.text())
    except TemplateError as error:
        raise found.error(str(error)) from error
    return Rule(rule, "lax" in members and members["lax"].flag())


def _policy(node: Node, members: Mapping[str, Node]) -> policy_pb2.MethodPolicy | None:
    stated = _POLICY & members.keys()
    if not stated:
        return None
    policy = policy_pb2.MethodPolicy(
        permission=members["permission"].text() if "permission" in stated else "",
        anonymous="anonymous" in stated and members["anonymous"].flag(),
        cost=members["cost"].count() if "cost" in stated else 0,
    )
    if bool(policy.permission) == policy.anonymous:
        raise node.error("it needs either permission or anonymous: true")
    if "timeout" in stated:
        policy.timeout.CopyFrom(_timeout(members["timeout"]))
    return policy


def _timeout(node: Node) -> duration_pb2.Duration:
    try:
        found = duration_pb2.Duration(**duration(node.text()))
    except FieldError as error:
        raise node.error(f"the timeout {error}") from error
    if found.seconds < 0 or found.nanos < 0 or not (found.seconds or found.nanos):
        raise node.error("the timeout must be above zero")
    return found
