"""`engine doctor` against real servers: well ones, and each that is not."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from shutil import copy

import pytest

from cli import compose
from cli.checkup import Finding, Verdict, examine
from cli.checkup.clocks import compared
from loadtests.servers import MariaDb, Redis, RedisCluster, free_port
from mesh.pki import CA, Authority, Names
from mesh.settings import Settings
from mesh.storage import address, migrations
from tests import program

PREFIX = "doctor_"


def by_name(findings: list[Finding]) -> Mapping[str, Finding]:
    return {finding.name: finding for finding in findings}


def failures(findings: list[Finding]) -> set[str]:
    return {finding.name for finding in findings if finding.verdict is Verdict.FAIL}


@pytest.fixture
def settings(var: Path, mariadb: MariaDb, redis_server: Redis) -> Iterator[Settings]:
    """A deployment on servers of the test's process."""
    yield Settings(
        var=var,
        database_url=mariadb.url,
        database_prefix=PREFIX,
        redis_url=redis_server.url,
        bus="redis",
        replicas=2,
    )
    for (name,) in mariadb.query(f"SHOW DATABASES LIKE '{PREFIX}%'"):
        mariadb.query(f"DROP DATABASE `{name}`")


async def test_the_embedded_default_is_well(var: Path) -> None:
    """Without servers there is nothing of them to check."""
    findings = await examine(Settings(var=var))
    assert failures(findings) == set()
    assert {"python", "disk", "folder", "demo", "processes"} <= by_name(findings).keys()
    assert all(finding.advice for finding in findings if finding.verdict is not Verdict.OK)


async def test_rule_files_are_read_as_the_gateway_reads_them(var: Path, tmp_path: Path) -> None:
    """A mistake is told before a restart is tried."""
    rules = tmp_path / "shop.yaml"
    rules.write_text("http: {rules: [{selector: a.B.C, get: /x, anonymous: true}]}")
    settings = Settings(var=var, gateway_rules=str(tmp_path))
    assert by_name(await examine(settings))["REST rules"].found == f"1 methods in {tmp_path}"
    rules.write_text("http: {rules: [{selector: a.B.C}]}")
    findings = await examine(settings)
    assert failures(findings) == {"REST rules"}
    assert by_name(findings)["REST rules"].found.startswith(f"{rules}:1: it needs one of")


async def test_keys_that_others_can_read_are_told(var: Path) -> None:
    """With the command that mends it."""
    settings = Settings(var=var)
    settings.key_dir.mkdir()
    key = settings.key_dir / "ark.key"
    key.write_text("secret")
    key.chmod(0o644)
    found = by_name(await examine(settings))["folder"]
    assert found.verdict is Verdict.FAIL
    assert found.advice == f"chmod go-rwx {key}"


async def test_certificates_that_are_over_or_soon_will_be_are_told(
    var: Path, tmp_path: Path
) -> None:
    """Of each service; one that all services share is looked at once."""
    authority = Authority.create(tmp_path / "pki")
    authority.issue(Names(name="host-1", hosts=("127.0.0.1",), shared=True))
    shared = Settings(
        var=var,
        tls_certificate=str(authority.folder / "host-1.pem"),
        tls_key=str(authority.folder / "host-1.key"),
        tls_ca=str(authority.folder / CA),
    )
    assert by_name(await examine(shared))["certificate"].verdict is Verdict.OK
    authority.issue(Names(name="customer", hosts=("127.0.0.1",)), days=1)
    apart = replace(
        shared,
        tls_certificate=str(authority.folder / "{service}.pem"),
        tls_key=str(authority.folder / "{service}.key"),
    )
    found = by_name(await examine(apart))
    assert found["certificate of customer"].verdict is Verdict.WARN
    assert found["certificate of ark"].verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("off_s", "verdict"),
    [(0.2, Verdict.OK), (-2.0, Verdict.WARN), (7.0, Verdict.FAIL), (-7.0, Verdict.FAIL)],
)
def test_clocks_that_differ_are_told(off_s: float, verdict: Verdict) -> None:
    """A second is bearable, five are not: tokens live for minutes and leases for seconds."""
    now = time.time()
    assert compared("clock", now + off_s, now).verdict is verdict


@pytest.mark.real
async def test_good_servers_are_well(settings: Settings) -> None:
    """Versions, clocks, rights, schema and tuning; nothing is left behind."""
    findings = await examine(settings)
    assert failures(findings) == set()
    found = by_name(findings)
    well = {"database", "database version", "database clock", "database rights", "collation"}
    well |= {"database locks", "database packet", "database durability", "database connections"}
    well |= {
        "redis",
        "redis version",
        "redis clock",
        "redis durability",
        "redis sync",
        "redis eviction",
    }
    assert {name for name in well if found[name].verdict is not Verdict.OK} == set()
    assert "will be made by their services" in found["schema"].found


@pytest.mark.real
async def test_only_what_was_made_is_left(settings: Settings, mariadb: MariaDb) -> None:
    """The database that shows the right to make one is gone."""
    await examine(settings)
    assert mariadb.query(f"SHOW DATABASES LIKE '{PREFIX}%'") == []


@pytest.mark.real
async def test_an_old_schema_is_told(settings: Settings, tmp_path: Path) -> None:
    """Services renew it when they start; who migrates by hand has to do it before."""
    wecom = compose.blueprints(demo=False)["wecom"]
    assert wecom.migrations is not None
    (first,) = (wecom.migrations / "versions").glob("0001*.py")
    (tmp_path / "versions").mkdir()
    copy(first, tmp_path / "versions")
    migrations.upgrade(address(settings, "wecom"), tmp_path)
    found = by_name(await examine(settings))["schema of wecom"]
    assert found.verdict is Verdict.WARN
    assert found.found.startswith("0001, ")
    by_hand = by_name(await examine(replace(settings, migrate=False)))
    for name in ("schema of wecom", "schema"):  # the other databases are not there at all
        assert by_hand[name].verdict is Verdict.FAIL
        assert "engine db upgrade" in by_hand[name].advice
    migrations.upgrade(address(settings, "wecom"), wecom.migrations)
    assert "schema of wecom" not in by_name(await examine(settings))


@pytest.mark.real
async def test_a_wrong_password_is_told(settings: Settings, mariadb: MariaDb) -> None:
    """In the words of the server; the other checks come to their end."""
    mariadb.query("CREATE USER 'doctor'@'127.0.0.1' IDENTIFIED BY 'right'")
    try:
        url = mariadb.url.replace("root", "doctor")
        wrong = Settings(var=settings.var, database_url=url, database_password="wrong")
        findings = await examine(wrong)
        assert "Access denied" in by_name(findings)["database"].found
        assert "wrong" not in str(findings)
        poor = Settings(var=settings.var, database_url=url, database_password="right")
        rights = by_name(await examine(poor))["database rights"]
        assert rights.verdict is Verdict.FAIL
        assert "GRANT ALL" in rights.advice
    finally:
        mariadb.query("DROP USER 'doctor'@'127.0.0.1'")


@pytest.mark.real
async def test_settings_of_the_database_server_that_lose_data_are_told(
    settings: Settings, mariadb: MariaDb
) -> None:
    """And those that are too small."""
    mariadb.query("SET GLOBAL innodb_flush_log_at_trx_commit = 2, GLOBAL max_connections = 50")
    try:
        found = by_name(await examine(settings))
    finally:
        mariadb.query(
            "SET GLOBAL innodb_flush_log_at_trx_commit = 1, GLOBAL max_connections = 1000"
        )
    assert found["database durability"].verdict is Verdict.FAIL
    assert found["database connections"].verdict is Verdict.WARN


@pytest.mark.real
async def test_a_redis_that_drops_events_is_told(settings: Settings, redis_server: Redis) -> None:
    """To make room, or when it ends; caches alone could live with the first."""
    good = ("maxmemory-policy", "noeviction", "appendonly", "yes", "appendfsync", "always")
    bad = ("maxmemory-policy", "allkeys-lru", "appendonly", "no", "appendfsync", "everysec")
    redis_server.command("config", "set", *bad)
    try:
        found = by_name(await examine(settings))
        caches = Settings(var=settings.var, redis_url=settings.redis_url)
        spared = by_name(await examine(caches))
        logs = by_name(await examine(replace(caches, sequencer_log="redis")))
    finally:
        redis_server.command("config", "set", *good)
    assert found["redis eviction"].verdict is Verdict.FAIL
    assert found["redis durability"].verdict is Verdict.FAIL
    assert found["redis sync"].verdict is Verdict.FAIL
    assert spared["redis eviction"].verdict is Verdict.WARN
    assert spared["redis durability"].verdict is Verdict.OK
    assert "redis sequences" not in spared
    assert logs["redis eviction"].verdict is logs["redis durability"].verdict is Verdict.FAIL
    assert logs["redis sync"].verdict is logs["redis sequences"].verdict is Verdict.OK


@pytest.mark.real
async def test_every_master_of_a_cluster_is_examined(
    var: Path, redis_cluster: RedisCluster
) -> None:
    """One that is set otherwise than the others is named."""
    findings = await examine(Settings(var=var, redis_url=redis_cluster.url, bus="redis"))
    found = by_name(findings)
    assert failures(findings) == set()
    assert found["redis cluster"].verdict is Verdict.OK
    for node in redis_cluster.nodes:
        assert f"redis 127.0.0.1:{node.port} version" in found


async def test_servers_that_are_not_there_are_told(var: Path) -> None:
    """Each by itself, and the other checks come to their end."""
    gone = Settings(
        var=var,
        database_url=f"mysql://engine@127.0.0.1:{free_port()}",
        redis_url=f"redis://127.0.0.1:{free_port()}",
        bus="redis",
    )
    assert failures(await examine(gone)) == {"database", "redis"}


@pytest.mark.real
async def test_servers_that_do_not_answer_are_given_up(var: Path, tmp_path: Path) -> None:
    """Frozen ones keep connections open and say nothing."""
    with MariaDb(tmp_path / "db") as database, Redis(tmp_path / "redis") as redis:
        frozen = Settings(var=var, database_url=database.url, redis_url=redis.url)
        database.pause()
        redis.pause()
        findings = await examine(frozen, probe_s=1.0)
    found = by_name(findings)
    assert failures(findings) == {"database", "redis"}
    assert "1 s" in found["database"].found


def test_the_command_prints_findings_and_ends_with_a_code(var: Path) -> None:
    """0 when nothing fails, 1 when something does; JSON for programs."""
    settings = {"ENGINE_VAR": str(var)}
    well = program.engine("doctor", "--json", settings=settings)
    assert well.returncode == 0, well.stderr
    assert {line["verdict"] for line in json.loads(well.stdout)} <= {"ok", "warn"}
    settings["ENGINE_REDIS_URL"] = f"redis://127.0.0.1:{free_port()}"
    ill = program.engine("doctor", settings=settings)
    assert ill.returncode == 1
    assert "redis: See that it runs" in ill.stdout
