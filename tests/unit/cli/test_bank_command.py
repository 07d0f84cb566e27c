from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bank import open_bank
from cli.bank import app


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ENGINE_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("ENGINE_SEED", "77")


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


def test_generate_makes_a_bank_and_says_so(tmp_path: Path) -> None:
    """The last line tells how many customers, where, of which seed, and how long it took."""
    code, out, _ = run("generate", "--scale", "2000", "--seed", 5, "--out", tmp_path / "b")
    assert code == 0
    assert f"2,000 customers in {tmp_path / 'b'}, seed 5," in out
    assert open_bank(tmp_path / "b").manifest.seed == 5


def test_the_seed_comes_from_the_settings_when_none_is_given(tmp_path: Path) -> None:
    """ENGINE_SEED is the seed of the demo bank too."""
    run("generate", "--scale", "200", "--out", tmp_path / "b")
    assert open_bank(tmp_path / "b").manifest.seed == 77


def test_progress_is_plain_lines_in_a_pipe(tmp_path: Path) -> None:
    """No control characters where nobody watches."""
    _, out, _ = run("generate", "--scale", "250000", "--out", tmp_path / "b")
    lines = [line for line in out.splitlines() if line.startswith("Generating")]
    assert lines == [
        f"Generating: {done} of 250,000 customers" for done in ("100,000", "200,000", "250,000")
    ]
    assert "\x1b" not in out


@pytest.mark.parametrize("scale", ["huge", "5"])
def test_a_bad_scale_is_refused(tmp_path: Path, scale: str) -> None:
    """The error stands on standard error and nothing is made."""
    code, _, err = run("generate", "--scale", scale, "--out", tmp_path / "b")
    assert code == 1
    assert f"scale '{scale}'" in err
    assert not (tmp_path / "b").exists()


def test_force_replaces_a_bank(tmp_path: Path) -> None:
    """Without the option the command refuses and names it."""
    arguments = ("generate", "--scale", "200", "--out", tmp_path / "b", "--seed")
    assert run(*arguments, 1)[0] == 0
    code, _, err = run(*arguments, 2)
    assert code == 1
    assert "--force" in err
    assert run(*arguments, 2, "--force")[0] == 0
    assert open_bank(tmp_path / "b").manifest.seed == 2


def test_check_lists_the_findings(tmp_path: Path) -> None:
    """Each figure with its verdict; all hold."""
    code, out, _ = run("generate", "--out", tmp_path / "b", "--check")
    assert code == 0
    assert "ok  customers in tier AUM50:" in out
    assert "ok  mean assets in yuan:" in out


def test_describe_tells_counts_tiers_and_percentiles(tmp_path: Path) -> None:
    """Tab-separated in a pipe."""
    run("generate", "--scale", "2000", "--seed", 3, "--out", tmp_path / "b")
    code, out, _ = run("describe", tmp_path / "b")
    assert code == 0
    rows = dict(line.split("\t", 1) for line in out.splitlines())
    assert (rows["customers"], rows["seed"], rows["managers"]) == ("2,000", "3", "8")
    tiers = [rows[name] for name in ("AUM0", "AUM5", "AUM20", "AUM50", "AUM100")]
    assert sum(int(tier.split("\t")[0].replace(",", "")) for tier in tiers) <= 2_000
    amounts = [float(rows[f"{p} %"].replace(",", "")) for p in ("10", "50", "90", "99", "100")]
    assert amounts == sorted(amounts)


@pytest.mark.parametrize("command", ["describe", "load"])
def test_no_bank_is_an_error_with_a_next_step(tmp_path: Path, command: str) -> None:
    """The message says how to make one."""
    code, _, err = run(command, tmp_path)
    assert code == 1
    assert err.startswith("engine: ")
    assert "engine bank generate" in err


def test_loading_without_a_platform_is_an_error_with_a_next_step(tmp_path: Path) -> None:
    """Nothing serves, so nothing is loaded."""
    run("generate", "--scale", "200", "--out", tmp_path / "b")
    code, _, err = run("load", tmp_path / "b")
    assert code == 1
    assert "'ark'" in err


def test_help_imports_nothing_heavy() -> None:
    """Arrays, Parquet and gRPC wait until a command needs them."""
    heavy = {"numpy", "pyarrow", "grpc", "rich.progress"}
    program = f"import cli.bank, sys; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
