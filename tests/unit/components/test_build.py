"""components/build.py: same sources, same bytes; and it refuses what would only fail in a deployment."""

import ast
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from components import build
from tests.checkouts import copy_checkout

ROOT = build.ROOT
SHIPPED = [folder for folder in build.LAYERS if folder != build.SUITE]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return copy_checkout(tmp_path / "checkout")


def digest(folder: str, root: Path, target: Path) -> str:
    build.write_zip(folder, target, root)
    return hashlib.sha256(target.read_bytes()).hexdigest()


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize("folder", SHIPPED)
def test_rebuild_elsewhere_with_other_times_and_modes_gives_the_same_bytes(
    folder: str, checkout: Path, tmp_path: Path
) -> None:
    for file in (checkout / "components").rglob("*.py"):
        os.utime(file, (1, 1))
        file.chmod(0o600)
    assert digest(folder, checkout, tmp_path / "a.zip") == digest(folder, ROOT, tmp_path / "b.zip")


@pytest.mark.parametrize("folder", SHIPPED)
def test_changed_source_changes_the_digest(folder: str, checkout: Path, tmp_path: Path) -> None:
    before = digest(folder, checkout, tmp_path / "a.zip")
    with (checkout / "components" / folder / "__init__.py").open("a") as file:
        file.write("# changed\n")
    assert digest(folder, checkout, tmp_path / "b.zip") != before


@pytest.mark.parametrize("folder", SHIPPED)
def test_zip_entries_are_sorted_dated_and_readable_by_every_user(folder: str, tmp_path: Path) -> None:
    build.write_zip(folder, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {stat.S_IMODE(entry.external_attr >> 16) for entry in entries} == {0o644}
    assert {entry.create_system for entry in entries} == {3}


@pytest.mark.parametrize("folder", SHIPPED)
def test_zip_holds_the_package_its_layers_and_nothing_of_the_project(
    folder: str, checkout: Path, tmp_path: Path
) -> None:
    package = checkout / "components" / folder
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "stale.cpython-311.pyc").touch()
    (package / "greengrass-build" / "old").mkdir(parents=True)
    (package / "greengrass-build" / "old" / "code.py").touch()
    build.write_zip(folder, tmp_path / "a.zip", checkout)
    names = set(zipfile.ZipFile(tmp_path / "a.zip").namelist())
    allowed = {folder, *(f"roadside/{layer}" for layer in build.LAYERS[folder])}
    assert {"requirements.txt", "roadside/__init__.py", f"{folder}/__init__.py"} <= names
    packages = {
        "/".join(name.split("/")[: 2 if name.startswith("roadside/") else 1])
        for name in names - {"requirements.txt", "roadside/__init__.py"}
    }
    assert packages == allowed
    assert all(name.endswith(".py") for name in names - {"requirements.txt"})
    assert not any("greengrass-build" in name for name in names)


@pytest.mark.parametrize("folder", SHIPPED)
def test_every_module_of_ours_that_the_zip_imports_is_in_it(folder: str, tmp_path: Path) -> None:
    build.write_zip(folder, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        names = set(archive.namelist())
        trees = {name: ast.parse(archive.read(name)) for name in names if name.endswith(".py")}
    for name, tree in trees.items():
        for node in ast.walk(tree):
            imported = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            imported += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for module in imported:
                if module.split(".")[0] in {"roadside", "components", "cloud", "simulator", *SHIPPED}:
                    path = module.replace(".", "/")
                    assert {f"{path}.py", f"{path}/__init__.py"} & names, (
                        f"{name} imports {module}, which is not shipped"
                    )


@pytest.mark.parametrize("folder", SHIPPED)
def test_unpacked_tree_imports_in_a_bare_interpreter(folder: str, tmp_path: Path) -> None:
    (local,) = build.build_local([folder], tmp_path)
    tree = local.unarchived / folder
    modules = [folder, *(f"roadside.{layer}" for layer in build.LAYERS[folder])]
    script = (
        f"import importlib, sys; sys.path.insert(0, {str(tree)!r})\n"
        f"for name in {modules!r}: print(importlib.import_module(name).__file__)"
    )
    output = subprocess.run([sys.executable, "-I", "-c", script], check=True, capture_output=True, text=True).stdout
    assert len(output.splitlines()) == len(modules)
    assert all(Path(line).is_relative_to(tree) for line in output.splitlines())


def test_suite_build_leaves_every_recipe_and_zip(checkout: Path) -> None:
    out = build.build_project(build.SUITE, checkout)
    components = [build.load(folder, checkout) for folder in build.LAYERS]
    assert out == checkout / "greengrass-build"
    assert {file.name for file in (out / "recipes").iterdir()} == {f"{each.name}.yaml" for each in components}
    for component in components:
        artifacts = out / "artifacts" / component.name / component.version
        assert artifacts.is_dir(), "publish rebuilds where this directory is absent"
        expected = [] if component.folder == build.SUITE else [f"{component.folder}.zip"]
        assert [file.name for file in artifacts.iterdir()] == expected


def test_component_build_replaces_what_an_earlier_one_left(checkout: Path) -> None:
    stale = checkout / "components" / "aggregator" / "greengrass-build" / "artifacts" / "stale.zip"
    stale.parent.mkdir(parents=True)
    stale.touch()
    out = build.build_project("aggregator", checkout)
    assert not stale.exists()
    assert [file.name for file in (out / "recipes").iterdir()] == ["city.roadside.Aggregator.yaml"]


def test_local_layout_has_versioned_recipes_zips_and_unpacked_trees(tmp_path: Path) -> None:
    for _ in range(2):  # a second layout replaces the first
        laid_out = build.build_local(list(build.LAYERS), tmp_path)
    for local in laid_out:
        assert local.recipe == tmp_path / "recipes" / f"{local.name}-{local.version}.yaml"
        assert local.recipe.is_file()
        assert local.artifacts == tmp_path / "artifacts" / local.name / local.version
        assert local.unarchived == tmp_path / "artifacts-unarchived" / local.name / local.version
    aggregator = laid_out[0]
    assert (aggregator.artifacts / "aggregator.zip").is_file()
    assert (aggregator.unarchived / "aggregator" / "aggregator" / "__init__.py").is_file()


def test_recipe_link_that_became_a_text_file_is_followed(checkout: Path) -> None:
    link = checkout / "components" / "aggregator" / "recipe.yaml"
    target = link.readlink()
    link.unlink()
    link.write_text(str(target))  # what git writes where symlinks are off
    recipes = build.build_project("aggregator", checkout) / "recipes"
    wanted = (checkout / "recipes" / "city.roadside.Aggregator.yaml").read_text()
    assert (recipes / "city.roadside.Aggregator.yaml").read_text() == wanted
    assert (recipes / "recipe.yaml").read_text() == wanted, "the GDK looks for the link's own name here"


@pytest.mark.parametrize("text", ["../../recipes/absent.yaml", ""])
def test_recipe_link_that_leads_nowhere_is_refused(checkout: Path, text: str) -> None:
    link = checkout / "components" / "aggregator" / "recipe.yaml"
    link.unlink()
    link.write_text(text)
    with pytest.raises(build.BuildError, match="neither a recipe nor a path"):
        build.load("aggregator", checkout)


def test_dangling_recipe_link_is_refused(checkout: Path) -> None:
    (checkout / "recipes" / "city.roadside.Aggregator.yaml").unlink()
    with pytest.raises(build.BuildError, match="leads to no file"):
        build.load("aggregator", checkout)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ComponentName: city.roadside.Aggregator", "ComponentName: city.roadside.Other", "ComponentName is"),
        ("ComponentPublisher: Roadside", "ComponentPublisher: Nobody", "ComponentPublisher is 'Nobody'"),
        ('ComponentVersion: "', 'ComponentVersion: "9', "ComponentVersion is"),
        ("aggregator.zip", "other.zip", "names the artifacts"),
        ("Uri:", "URI:", "names the artifacts"),
        ("BUCKET_NAME", "my-bucket", "names the artifacts"),
        ("ComponentConfiguration:", "#" * build.MAX_RECIPE_BYTES + "\nComponentConfiguration:", "the limit is 16000"),
    ],
)
def test_recipe_that_would_fail_in_publish_or_deployment_is_refused(
    checkout: Path, old: str, new: str, message: str
) -> None:
    edit(checkout / "recipes" / "city.roadside.Aggregator.yaml", old, new)
    with pytest.raises(build.BuildError, match=message) as caught:
        build.build_project(build.SUITE, checkout)
    assert caught.value.component == "aggregator"


@pytest.mark.parametrize("config", ["", "{}", '{"component": {}}', '{"component": {"a": {"version": "1.0.0"}}}'])
def test_malformed_gdk_configuration_is_refused(checkout: Path, config: str) -> None:
    (checkout / "gdk-config.json").write_text(config)
    with pytest.raises(build.BuildError, match=r"gdk-config\.json"):
        build.load(build.SUITE, checkout)


def test_two_components_in_one_gdk_configuration_are_refused(checkout: Path) -> None:
    config = json.loads((checkout / "gdk-config.json").read_text())
    config["component"]["city.roadside.Second"] = config["component"]["city.roadside.Suite"]
    (checkout / "gdk-config.json").write_text(json.dumps(config))
    with pytest.raises(build.BuildError, match="exactly one"):
        build.load(build.SUITE, checkout)


def test_absent_requirements_or_layer_is_refused(checkout: Path, tmp_path: Path) -> None:
    shutil.rmtree(checkout / "components" / "roadside" / "core")
    with pytest.raises(build.BuildError, match="roadside/core is no package"):
        build.write_zip("aggregator", tmp_path / "a.zip", checkout)
    (checkout / "components" / "aggregator" / "requirements.txt").unlink()
    with pytest.raises(build.BuildError, match=r"requirements\.txt is missing"):
        build.write_zip("aggregator", tmp_path / "a.zip", checkout)


def test_command_line_prints_digests_and_reports_faults(checkout: Path) -> None:
    script = checkout / "components" / "build.py"
    command = [sys.executable, "-I", str(script)]
    good = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert good.returncode == 0
    archive = next((checkout / "greengrass-build").rglob("aggregator.zip"))
    assert f"{hashlib.sha256(archive.read_bytes()).hexdigest()}  {archive}" in good.stdout.splitlines()
    edit(checkout / "gdk-config.json", '"version": "', '"version": "9')
    bad = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert (bad.returncode, bad.stdout) == (1, "")
    assert bad.stderr.startswith("build failed: suite: ComponentVersion is")


def test_unknown_component_is_refused() -> None:
    with pytest.raises(build.BuildError, match=f"no such component; there are {', '.join(build.LAYERS)}"):
        build.load("absent")


def test_build_needs_only_the_standard_library() -> None:
    tree = ast.parse(Path(build.__file__).read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in imported} <= sys.stdlib_module_names


def test_every_gdk_project_in_the_tree_is_known_to_the_build() -> None:
    projects = {file.parent.name for file in (ROOT / "components").glob("*/gdk-config.json")}
    assert projects == set(SHIPPED)
