"""The support bundle: what is in it, what is not, and that it is made wherever something is broken."""

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from components.build import build_local
from monitor import bundle
from monitor.database_facts import database_facts
from roadside.runtime.outbox import OutgoingMessage
from roadside.runtime.store import GatewayStore

SECRET = "S3CR3T-of-the-gateway"
CONTENT = b"CONTENT-of-a-message"
NOW_MS = 1_790_000_000_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of a classic nucleus with an Aggregator and a Monitor on it."""
    made = tmp_path / "greengrass"
    monitor, aggregator = made / "work" / "city.roadside.Monitor", made / "work" / "city.roadside.Aggregator"
    for folder in (
        monitor,
        aggregator,
        made / "logs",
        made / "packages/artifacts-unarchived/city.roadside.Monitor/9.9",
    ):
        folder.mkdir(parents=True)
    (monitor / "heartbeat.json").write_text('{"schema": 1, "gateway": "gw-1"}')
    (monitor / "configurations.json").write_text(f'{{"x": {{"password": "{SECRET}"}}}}')
    (made / "thingCert.key").write_text(SECRET)
    (aggregator / "private.key").write_text(SECRET)
    (aggregator / "gateway.sqlite.quarantined-17").write_bytes(CONTENT)
    (made / "logs" / "city.roadside.Aggregator.log").write_text(
        "first line\n" * 20 + f'{{"message": "password={SECRET}", "payload": "{CONTENT.decode()}"}}\nlast line\n'
    )
    (made / "logs" / "other.Component.log").write_text("not ours")
    packages = aggregator / "venv" / "lib" / "python3.11" / "site-packages" / "thing-1.2.dist-info"
    packages.mkdir(parents=True)
    (packages / "METADATA").write_text("Metadata-Version: 2.1\nName: thing\nVersion: 1.2\n")
    fill(aggregator / "gateway.sqlite").close()
    return made


def fill(path: Path) -> GatewayStore:
    """A store with two messages that wait and one dead letter; its connection is left open and locked."""
    store = GatewayStore.open(path, NOW_MS)
    with store.transaction():
        for place in range(3):
            message = OutgoingMessage(store.outbox.next_sequence(), "events", "up/x", CONTENT, NOW_MS + place)
            store.outbox.add(message)
    store.outbox.settle((), [(1, "not authorised")], NOW_MS + 9)
    return store


def opened(out: Path) -> dict[str, bytes]:
    with tarfile.open(out) as archive:
        return {member.name: read for member in archive for file in [archive.extractfile(member)] if file
                for read in [file.read()]}  # fmt: skip


def made(root: Path, out: Path, log_bytes: int = bundle.LOG_BYTES) -> dict[str, bytes]:
    assert bundle.make(out, root, log_bytes) == 0
    return opened(out)


def test_bundle_holds_what_helps_and_tells_where_it_is(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bundle.tar.gz"
    files = made(root, out)
    printed = capsys.readouterr().out
    assert str(out) in printed
    for name in (
        "versions.json", "machine.json", "notes/heartbeat.json", "notes/configurations.json", "manifest.json",
        "files/city.roadside.Aggregator.json", "packages/city.roadside.Aggregator.json",
        "databases/city.roadside.Aggregator.gateway.json", "logs/city.roadside.Aggregator.log",
    ):  # fmt: skip
        assert name in files
        assert name in printed or name == "manifest.json"
    versions: dict[str, Any] = json.loads(files["versions.json"])
    assert versions["deployed"] == ["city.roadside.Monitor 9.9"]
    assert json.loads(files["packages/city.roadside.Aggregator.json"]) == {"thing": "1.2"}
    assert files["logs/city.roadside.Aggregator.log"].endswith(b"last line\n")
    assert "gateway.sqlite.quarantined-17" in {
        each["name"] for each in json.loads(files["files/city.roadside.Aggregator.json"])
    }
    facts = json.loads(files["databases/city.roadside.Aggregator.gateway.json"])
    assert facts["integrity"] == ["ok"]
    assert facts["outbox"][0] | {"bytes": 0} == {"kind": "events", "messages": 2, "bytes": 0, "oldest_ms": NOW_MS + 1}
    [letter] = facts["dead_letters"]
    assert (letter["sequence"], letter["reason"], letter["refused_ms"]) == (1, "not authorised", NOW_MS + 9)
    assert "payload" not in letter


def test_bundle_holds_no_secret_no_key_and_no_message(root: Path, tmp_path: Path) -> None:
    files = made(root, tmp_path / "bundle.tar.gz")
    for name, content in files.items():
        assert SECRET.encode() not in content, name
        assert CONTENT not in content, name
    assert not any("other.Component" in name or name.endswith(".key") for name in files)
    assert stat.S_IMODE((tmp_path / "bundle.tar.gz").stat().st_mode) == 0o600


def test_only_the_ends_of_logs_are_taken_and_whole_lines_of_them(root: Path, tmp_path: Path) -> None:
    files = made(root, tmp_path / "bundle.tar.gz", log_bytes=15)
    assert files["logs/city.roadside.Aggregator.log"] == b"last line\n"


def test_what_cannot_be_had_is_named_and_the_rest_is_taken(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "work/city.roadside.Monitor/heartbeat.json").unlink()
    (root / "work/city.roadside.Aggregator/gateway.sqlite").write_bytes(b"no database at all" * 100)
    shutil.rmtree(root / "work/city.roadside.Aggregator/venv")
    files = made(root, tmp_path / "bundle.tar.gz")
    manifest = {each["name"]: each["reason"] for each in json.loads(files["manifest.json"])}
    assert "FileNotFoundError" in manifest["notes/heartbeat.json"]
    assert "has no packages" in manifest["packages/city.roadside.Aggregator.json"]
    facts = json.loads(files["databases/city.roadside.Aggregator.gateway.json"])
    assert "not a database" in facts["integrity"][0]
    assert manifest["versions.json"] is None
    assert "not taken  notes/heartbeat.json" in capsys.readouterr().out
    assert "logs/city.roadside.Aggregator.log" in files


def test_gateway_without_greengrass_still_makes_a_bundle_and_a_bad_place_for_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert {"versions.json", "manifest.json"} <= made(tmp_path / "nothing", tmp_path / "bundle.tar.gz").keys()
    assert bundle.make(tmp_path / "absent" / "bundle.tar.gz", tmp_path, 1000) == 1
    assert "cannot write" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle.tar.gz"], "nothing half done is left"


def test_database_is_read_while_its_owner_has_it_locked_and_nothing_of_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "gateway.sqlite"
    store = fill(path)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        sqlite3.connect(path, timeout=0).execute("SELECT * FROM outbox")
    facts = database_facts(path, tmp_path)
    assert facts["rows"]["outbox"] == 2, "what is only in the write-ahead log yet is seen as well"
    assert facts["epoch_ms"] == [NOW_MS]
    assert facts["counters"]["refused"] == 1
    assert store.outbox.totals().messages == 2
    assert [each.name for each in tmp_path.glob(".bundle-*")] == []
    store.close()


def test_damaged_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "gateway.sqlite"
    fill(path).close()
    content = bytearray(path.read_bytes())
    content[4096 * 2 : 4096 * 3] = os.urandom(4096)
    path.write_bytes(content)
    assert database_facts(path, tmp_path)["integrity"] != ["ok"]


def test_bundle_is_made_from_the_zip_where_no_package_is_installed(root: Path, tmp_path: Path) -> None:
    (local,) = build_local(["monitor"], tmp_path / "build")
    out = tmp_path / "bundle.tar.gz"
    command = [sys.executable, "-I", "-S", "-c", RUN, str(local.unarchived / "monitor"), str(out), str(root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "notes/heartbeat.json" in opened(out)


RUN = """
import runpy, sys
path, out, root = sys.argv[1:]
sys.path.insert(0, path)
sys.argv = ["monitor", "bundle", "--out", out, "--root", root]
runpy.run_module("monitor", run_name="__main__")
"""
