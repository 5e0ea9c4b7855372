"""The real Greengrass Development Kit builds the suite and each component, offline and the same way twice.

The GDK is not on PyPI. To run these tests, install it where it is found on PATH:
pip install git+https://github.com/aws-greengrass/aws-greengrass-gdk-cli.git@v1.6.2
"""

import hashlib
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from components import build
from tests.checkouts import copy_checkout, make_wheel

GDK = shutil.which("gdk")

pytestmark = [
    pytest.mark.skipif(GDK is None, reason="the Greengrass Development Kit (gdk 1.6.2) is not on PATH"),
    pytest.mark.timeout(300),  # each call asks the internet for a newer gdk first
]

VALIDATE = """
import sys, yaml
import gdk.common.consts as consts, gdk.common.utils as utils
from gdk.common.RecipeValidator import RecipeValidator
validator = RecipeValidator(utils.get_static_file_path(consts.recipe_schema_file))
for path in sys.argv[1:]:
    with open(path) as recipe:
        validator.validate_recipe(yaml.safe_load(recipe))
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return copy_checkout(tmp_path / "checkout")


def gdk_build(project: Path, **variables: str) -> dict[str, str]:
    """Digest of each file that `gdk component build` leaves, by its path in greengrass-build/."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | variables
    environment["AWS_EC2_METADATA_DISABLED"] = "true"
    assert GDK is not None
    result = subprocess.run(
        [GDK, "component", "build"], cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    out = project / "greengrass-build"
    return {
        file.relative_to(out).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(out.rglob("*"))
        if file.is_file()
    }


def test_gdk_builds_the_suite_twice_to_the_same_bytes(checkout: Path) -> None:
    first = gdk_build(checkout)
    components = [build.load(folder, checkout) for folder in build.LAYERS]
    assert first.keys() == {
        *(f"recipes/{each.name}.yaml" for each in components),
        *(
            f"artifacts/{each.name}/{each.version}/{each.folder}.zip"
            for each in components
            if each.folder != build.SUITE
        ),
    }
    assert gdk_build(checkout) == first


@pytest.mark.parametrize("folder", [folder for folder in build.LAYERS if folder != build.SUITE])
def test_gdk_builds_a_component_to_the_bytes_of_the_suite(folder: str, checkout: Path) -> None:
    suite = gdk_build(checkout)
    alone = gdk_build(checkout / "components" / folder)
    assert len(alone) == 2
    assert alone.items() <= suite.items()


@pytest.mark.parametrize("folder", build.LAYERS)
def test_gdk_builds_the_same_from_a_checkout_without_links(folder: str, checkout: Path, tmp_path: Path) -> None:
    place = Path() if folder == build.SUITE else Path("components", folder)
    linked = gdk_build(checkout / place)
    unlinked = gdk_build(copy_checkout(tmp_path / "unlinked", links=False) / place)
    # The GDK looks for the recipe under its link's name, so there is a second copy of the project's own.
    assert unlinked.pop("recipes/recipe.yaml") == linked[f"recipes/{build.load(folder).recipe.name}"]
    assert unlinked == linked


def test_gdk_packs_wheels_where_the_environment_names_them(checkout: Path, tmp_path: Path) -> None:
    pin = make_wheel(tmp_path / "wheels", "tiny")
    (checkout / "components" / "aggregator" / "requirements.txt").write_text(pin)
    project = checkout / "components" / "aggregator"
    packed = gdk_build(project, ROADSIDE_WHEELS=str(tmp_path / "wheels"))
    archive = next((project / "greengrass-build").rglob("aggregator.zip"))
    assert "wheels/tiny-1.0-py3-none-any.whl" in zipfile.ZipFile(archive).namelist()
    assert gdk_build(project, ROADSIDE_WHEELS=str(tmp_path / "wheels")) == packed


def test_recipes_pass_the_schema_that_the_gdk_applies_when_it_publishes() -> None:
    assert GDK is not None
    interpreter = Path(GDK).resolve().parent / "python"
    if not interpreter.exists():
        pytest.skip("gdk is not in a virtual environment, so its own Python is unknown")
    recipes = [str(path) for path in sorted((build.ROOT / "recipes").glob("*.yaml"))]
    result = subprocess.run([interpreter, "-c", VALIDATE, *recipes], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
