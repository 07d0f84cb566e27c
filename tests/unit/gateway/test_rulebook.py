"""Rule files: what is read, and what is refused with its place."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent, indent

import pytest
from google.api.http_pb2 import CustomHttpPattern, HttpRule
from google.protobuf.duration_pb2 import Duration

from engine.mesh.v1 import policy_pb2
from gateway.rulebook import NO_RULES, Rule, Rulebook, load
from mesh.settings import SettingsError

HEAD = "http:\n  rules:\n"
"""Rules follow from line 3 on."""


def read(folder: Path, rules: str, name: str = "a.yaml") -> Rulebook:
    (folder / name).write_text(HEAD + indent(dedent(rules), "  "))
    return load(str(folder))


def refusal(folder: Path, text: str) -> str:
    (folder / "a.yaml").write_text(dedent(text))
    with pytest.raises(SettingsError) as refused:
        load(str(folder))
    return str(refused.value)


def test_no_folder_has_no_rules() -> None:
    """As the setting's default is."""
    assert load("") is NO_RULES


def test_everything_that_a_rule_may_say_is_read(tmp_path: Path) -> None:
    """Routes, and the policy that a foreign contract lacks."""
    book = read(
        tmp_path,
        """\
        - selector: shop.v1.Orders.Change
          patch: /v1/{order.name=orders/*}
          body: order
          response_body: order
          lax: true
          permission: order.write
          cost: 3
          timeout: 1.5s
          additional_bindings:
          - custom: {kind: REPORT, path: "/v1/orders:report"}
            body: "*"
          - get: "/v1/orders/{order.name}"
        - selector: shop.v1.Orders.Get
          get: /v1/orders
          anonymous: true
        - selector: shop.v1.Orders.Told
          delete: /v1/orders
        """,
    )
    change = book.entries["shop.v1.Orders.Change"]
    route = {"body": "order", "response_body": "order"}
    assert change.rules == (
        Rule(HttpRule(patch="/v1/{order.name=orders/*}", **route), lax=True),
        Rule(HttpRule(custom=CustomHttpPattern(kind="REPORT", path="/v1/orders:report"), body="*")),
        Rule(HttpRule(get="/v1/orders/{order.name}")),
    )
    timeout = Duration(seconds=1, nanos=500_000_000)
    assert change.policy == policy_pb2.MethodPolicy(
        permission="order.write", cost=3, timeout=timeout
    )
    assert change.where == f"{tmp_path}/a.yaml:3"
    assert book.entries["shop.v1.Orders.Get"].policy == policy_pb2.MethodPolicy(anonymous=True)
    assert book.entries["shop.v1.Orders.Told"].policy is None


def test_all_files_of_the_folder_are_read(tmp_path: Path) -> None:
    """Those that are YAML by their name; an empty one says nothing."""
    (tmp_path / "README.md").write_text("- not: yaml\n of rules")
    (tmp_path / "empty.yml").touch()
    read(tmp_path, "- {selector: a.B.C, get: /c}", "one.yaml")
    assert set(read(tmp_path, "- {selector: a.B.D, get: /d}", "two.yml").entries) == {
        "a.B.C",
        "a.B.D",
    }


@pytest.mark.parametrize(
    ("rule", "line", "why"),
    [
        ("- get: /v1/x", 3, "no selector"),
        ("- selector: a.B.C", 3, "needs one of"),
        ("- selector: a.B.C\n  get: /x\n  put: /x", 3, "has 2"),
        ("- selector: a.B.C\n  get: v1/x", 4, "does not begin with a slash"),
        ("- selector: a.B.C\n  get: /v1/{x", 4, "not a path template"),
        ("- selector: a.B.C\n  gett: /x", 4, "did you mean 'get'?"),
        ("- selector: a.B.C\n  get: /x\n  get: /y", 5, "stands here twice"),
        ("- selector: a.B.C\n  get: 7", 4, "must be text"),
        ("- selector: a.B.C\n  get: [/x]", 4, "must be text"),
        ("- selector: a.B.C\n  post: /x\n  body: *", 5, "alias"),
        ("- selector: a.B.C\n  get: /x\n  lax: maybe", 5, "true or false"),
        ("- selector: a.B.C\n  get: /x\n  lax: 'true'", 5, "true or false"),
        ("- selector: a.B.C\n  get: /x\n  permission: ''", 5, "must be text"),
        ("- selector: a.B.C\n  get: /x\n  permission: x\n  anonymous: true", 3, "either perm"),
        ("- selector: a.B.C\n  get: /x\n  anonymous: false", 3, "either permission"),
        ("- selector: a.B.C\n  get: /x\n  cost: 3", 3, "either permission"),
        ("- selector: a.B.C\n  get: /x\n  anonymous: true\n  cost: 0", 6, "whole number"),
        ("- selector: a.B.C\n  get: /x\n  anonymous: true\n  cost: x", 6, "whole number"),
        ("- selector: a.B.C\n  get: /x\n  anonymous: true\n  timeout: 5", 6, "must be text"),
        ("- selector: a.B.C\n  get: /x\n  anonymous: true\n  timeout: 5m", 6, "must be seconds"),
        ("- selector: a.B.C\n  get: /x\n  anonymous: true\n  timeout: 0s", 6, "above zero"),
        ("- selector: a.B.C\n  custom: /x", 4, "must be a mapping"),
        ("- selector: a.B.C\n  custom: {kind: X}", 4, "no path"),
        ("- selector: a.B.C\n  get: /x\n  additional_bindings:\n  - body: x", 6, "needs one of"),
        ("- selector: a.B.C\n  get: /x\n  additional_bindings:\n  - permission: x", 6, "not read"),
        ("- selector: a.B.C\n  get: /x\n- selector: a.B.C\n  get: /y", 5, "a.yaml:3 already"),
        ("- x", 3, "must be a mapping"),
        ("x: y", 3, "'x' is not read"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(
    tmp_path: Path, rule: str, line: int, why: str
) -> None:
    """As soon as it is read, whatever contracts there are."""
    told = refusal(tmp_path, HEAD + indent(rule, "  "))
    assert told.startswith(f"{tmp_path}/a.yaml:{line}: ")
    assert why in told


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("authentication: {}", ":1: 'authentication' is not read here"),
        ("http: {rules: x}", ":1: this must be a list"),
        ("http: {fully_decode_reserved_expansion: true}", ":1: 'fully_decode"),
        ("a: [", ":1: "),
        ("\tx", ":1: "),
        ("a: !!python/object:os.system x", ":1: "),
        ("[" * 50_000, ": "),
        ("http: {rules: [" + "x," * 600_000 + "]}", ": it is longer than 1 MiB"),
    ],
    ids=["foreign", "no-list", "unknown", "open", "tab", "tag", "deep", "long"],
)
def test_other_files_are_refused(tmp_path: Path, text: str, why: str) -> None:
    """What would be passed over in silence, and what is no YAML."""
    assert f"{tmp_path}/a.yaml{why}" in refusal(tmp_path, text)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """With the place of the first."""
    (tmp_path / "a.yaml").write_bytes(b"http: \xff")
    with pytest.raises(SettingsError, match="byte 6 is not UTF-8"):
        load(str(tmp_path))


def test_every_bad_file_is_told_of(tmp_path: Path) -> None:
    """And a method that two files name."""
    (tmp_path / "b.yaml").write_text("x: 1")
    (tmp_path / "c.yaml").write_text(HEAD + "  - {selector: a.B.C, get: /x}")
    (tmp_path / "d.yaml").write_text(HEAD + "  - {selector: a.B.C, get: /y}")
    told = refusal(tmp_path, "y: 1").split("\n")
    assert [line.split(":")[0].rpartition("/")[2] for line in told] == [
        "a.yaml",
        "b.yaml",
        "d.yaml",
    ]
    assert told[2].endswith("c.yaml:3 too")


def test_folder_that_is_not_there_is_told_by_its_setting(tmp_path: Path) -> None:
    """Rules that are meant to be there must not be missing in silence."""
    with pytest.raises(SettingsError, match=r"ENGINE_GATEWAY_RULES=.*/nowhere is no folder"):
        load(str(tmp_path / "nowhere"))


def test_the_example_of_the_documentation_is_read(tmp_path: Path) -> None:
    """Who copies it gets what the page says."""
    page = Path(__file__).parents[3] / "docs" / "howto" / "rest.md"
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "shop.yaml").write_text(example)
    entries = load(str(tmp_path)).entries
    assert [name.rpartition(".")[2] for name in entries] == ["GetOrder", "ChangeOrder", "Health"]
    assert [rule.lax for rule in entries["shop.v1.Orders.ChangeOrder"].rules] == [False, True]
