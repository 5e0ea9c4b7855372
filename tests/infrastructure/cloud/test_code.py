"""What is uploaded as code: these files, the same for the same sources, and enough to run on."""

import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from cloud import layer, paths, staging

RUNTIME_BRINGS = ("boto3", "botocore", "s3transfer", "urllib3", "dateutil", "six.py")
FUNCTIONS = paths.ROOT / "cloud" / "functions"
EVERY_FUNCTION = sorted(handler.parent.name for handler in FUNCTIONS.glob("*/handler.py"))
SITE = Path(boto3.__file__).parents[1]


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*.py")}


@pytest.mark.parametrize("name", EVERY_FUNCTION)
def test_code_holds_its_function_the_shared_modules_and_the_contract(tmp_path: Path, name: str) -> None:
    staged = files(staging.stage(name, tmp_path).folder)

    assert {path for path in staged if "/shared/" not in path and "/contract/" not in path} == {
        "cloud/__init__.py",
        "cloud/functions/__init__.py",
        "roadside/__init__.py",
        *(f"cloud/functions/{name}/{module.name}" for module in (FUNCTIONS / name).glob("*.py")),
    }
    assert "roadside/contract/codec.py" in staged
    assert "cloud/functions/shared/envelope.py" in staged


def test_same_sources_are_staged_once_and_alike(tmp_path: Path) -> None:
    first = staging.stage("processor", tmp_path / "a")
    again = staging.stage("processor", tmp_path / "a")
    elsewhere = staging.stage("processor", tmp_path / "b")

    assert first == again
    assert first.source_hash == elsewhere.source_hash
    assert len(list((tmp_path / "a").iterdir())) == 1


def test_what_was_staged_of_older_sources_goes_and_other_functions_stay(tmp_path: Path) -> None:
    stale = tmp_path / f"processor-{'0' * 16}" / "cloud"
    stale.mkdir(parents=True)
    other = staging.stage("alerts", tmp_path).folder

    present = staging.stage("processor", tmp_path).folder

    assert set(tmp_path.iterdir()) == {present, other}


def test_unknown_function_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="rollups"):
        staging.stage("rollups", tmp_path)


@pytest.mark.parametrize("name", EVERY_FUNCTION)
def test_handler_runs_on_its_code_the_layer_and_the_runtime_alone(tmp_path: Path, name: str) -> None:
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    for package in RUNTIME_BRINGS:
        (runtime / package).symlink_to(SITE / package)
    path = [str(staging.stage(name, tmp_path).folder), str(layer.require() / "python"), str(runtime)]
    script = f"import sys; sys.path += {path!r}; import cloud.functions.{name}.handler as h; print(callable(h.handle))"

    run = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=False)

    assert run.stdout == "True\n", run.stderr
