"""Packages in the zip: exactly the pinned ones, and a gateway that reaches no index installs from them."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from components import build, wheels
from tests.checkouts import copy_checkout, make_wheel

SHIPPED = [folder for folder in build.LAYERS if folder != build.SUITE]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return copy_checkout(tmp_path / "checkout")


@pytest.fixture
def wheelhouse(checkout: Path, tmp_path: Path) -> Path:
    """Wheels of the two packages that the checkout's aggregator now pins, and one that nobody pins."""
    house = tmp_path / "house"
    pins = make_wheel(house, "tiny") + make_wheel(house, "small")
    make_wheel(house, "stray")
    (checkout / "components" / "aggregator" / "requirements.txt").write_text("# pins\n" + pins)
    return house


def install(tree: Path, work: Path) -> subprocess.CompletedProcess[str]:
    """Run the aggregator's install script as a nucleus does, where no index answers."""
    recipe = yaml.safe_load((build.ROOT / "recipes" / "city.roadside.Aggregator.yaml").read_text())
    script = recipe["Manifests"][0]["Lifecycle"]["install"]["Script"]
    script = script.replace("{artifacts:decompressedPath}", str(tree)).replace("{work:path}", str(work))
    work.mkdir(exist_ok=True)
    # Port 9 is closed, and a user's or machine's own index is out of the picture.
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0"}
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", **nowhere}
    return subprocess.run(
        ["sh", "-c", script], cwd=work, env=environment, capture_output=True, text=True, check=False, timeout=100
    )


def test_zip_holds_the_pinned_wheels_and_no_other_file_of_the_folder(
    checkout: Path, wheelhouse: Path, tmp_path: Path
) -> None:
    build.write_zip("aggregator", tmp_path / "a.zip", checkout, wheelhouse)
    names = zipfile.ZipFile(tmp_path / "a.zip").namelist()
    assert [name for name in names if name.startswith("wheels/")] == [
        "wheels/small-1.0-py3-none-any.whl",
        "wheels/tiny-1.0-py3-none-any.whl",
    ]
    assert names == sorted(names)


def test_zip_with_wheels_is_the_same_to_the_byte_and_without_them_holds_none(
    checkout: Path, wheelhouse: Path, tmp_path: Path
) -> None:
    build.write_zip("aggregator", tmp_path / "a.zip", checkout, wheelhouse)
    for file in wheelhouse.iterdir():
        os.utime(file, (1, 1))
    build.write_zip("aggregator", tmp_path / "b.zip", checkout, wheelhouse)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    build.write_zip("aggregator", tmp_path / "c.zip", checkout)
    assert not any("wheels" in name for name in zipfile.ZipFile(tmp_path / "c.zip").namelist())


@pytest.mark.parametrize("damage", ["absent", "other bytes"])
def test_pinned_package_without_its_wheel_is_refused(
    checkout: Path, wheelhouse: Path, tmp_path: Path, damage: str
) -> None:
    wheel = wheelhouse / "tiny-1.0-py3-none-any.whl"
    if damage == "absent":
        wheel.unlink()
    else:
        wheel.write_bytes(wheel.read_bytes() + b"x")
    with pytest.raises(build.BuildError, match=r"no wheel of tiny that .*: python3 components/wheels\.py"):
        build.write_zip("aggregator", tmp_path / "a.zip", checkout, wheelhouse)


def test_gateway_without_an_index_installs_from_the_packed_wheels_and_only_with_them(
    checkout: Path, wheelhouse: Path, tmp_path: Path
) -> None:
    (bare,) = build.build_local(["aggregator"], tmp_path / "bare", checkout)
    refused = install(bare.unarchived, tmp_path / "work")
    assert refused.returncode != 0, "the packages came from elsewhere, so what follows would prove nothing"

    (packed,) = build.build_local(["aggregator"], tmp_path / "packed", checkout, wheelhouse)
    installed = install(packed.unarchived, tmp_path / "work")
    assert installed.returncode == 0, installed.stdout + installed.stderr
    python = tmp_path / "work" / "venv" / "bin" / "python3"
    subprocess.run([python, "-c", "import small, tiny; assert tiny.answer == 42"], check=True)


def test_environment_selects_the_wheels_where_the_gdk_passes_no_arguments(checkout: Path, wheelhouse: Path) -> None:
    command = [sys.executable, "../build.py", "aggregator"]
    environment = os.environ | {build.WHEELS_VARIABLE: "../house"}  # of the root, whatever folder the GDK is in
    subprocess.run(
        command, cwd=checkout / "components" / "aggregator", env=environment, check=True, capture_output=True
    )
    (archive,) = (checkout / "components" / "aggregator" / "greengrass-build").rglob("aggregator.zip")
    assert "wheels/tiny-1.0-py3-none-any.whl" in zipfile.ZipFile(archive).namelist()


@pytest.mark.parametrize("folder", SHIPPED)
@pytest.mark.parametrize("python", [(3, 11), (3, 12), (3, 13)])
def test_each_package_is_pinned_once_for_a_version_of_python(folder: str, python: tuple[int, int]) -> None:
    lines = wheels.requirements([folder], python).splitlines()
    names = [line.partition("==")[0] for line in lines]
    assert names == sorted(build.pins_by_package(build.requirements_file(folder)))
    assert all("--hash=sha256:" in line and ";" not in line for line in lines)


def test_marker_of_an_unknown_kind_is_refused_and_not_guessed() -> None:
    pin = build.Pin("numpy==1.0", "sys_platform == 'linux'", ())
    with pytest.raises(wheels.WheelsError, match=r"numpy==1\.0: cannot judge the marker"):
        wheels.applies(pin, (3, 11))


def test_fetching_without_an_index_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"INDEX_URL": "http://127.0.0.1:9/simple", "CONFIG_FILE": os.devnull, "RETRIES": "0"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    assert wheels.main([str(tmp_path), "--machine", "aarch64", "--component", "sensor_ingest"]) == 1
    assert "no wheels: pip could not get the wheels for aarch64, Python 3.11" in capfd.readouterr().err
