"""Builds the Greengrass components: byte-identical zips and final recipes. Standard library only.

    python3 components/build.py                   the suite and every component -> greengrass-build/
    python3 components/build.py aggregator        one component -> components/aggregator/greengrass-build/
    python3 components/build.py --local DIR       recipes, zips and unpacked trees for a local deployment -> DIR

With --wheels DIR, or ROADSIDE_WHEELS=DIR in the environment, each zip also carries its packages, for gateways that
reach no package index; components/wheels.py fills DIR.

The GDK runs the first two as its custom builds. It checks nothing after a custom build, so everything that would only
fail while publishing is refused here: a version that differs between files, a recipe that is too large, an artifact
that a recipe names and nobody built, a pinned package without a wheel.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
SUITE: Final = "suite"

# The layers of `roadside` that each component carries. The suite is a meta-component and carries nothing.
LAYERS: Final[dict[str, tuple[str, ...]]] = {
    "aggregator": ("contract", "core", "runtime"),
    "sensor_ingest": ("contract", "runtime"),
    "monitor": ("contract", "runtime"),
    "sensor_emulator": ("contract", "runtime", "traffic"),
    SUITE: (),
}

WHEELS_VARIABLE: Final = "ROADSIDE_WHEELS"  # the GDK hands its environment on, and no arguments of ours
MAX_RECIPE_BYTES: Final = 16_000  # Greengrass refuses more; the GDK does not look at custom builds
_ARTIFACT_PREFIX: Final = "s3://BUCKET_NAME/COMPONENT_NAME/COMPONENT_VERSION/"  # `gdk component publish` fills it in
_ARTIFACT: Final = re.compile(rf"^\s*(?:- )?Uri:\s*{re.escape(_ARTIFACT_PREFIX)}(\S+)\s*$", re.MULTILINE)
_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)  # the oldest that a zip can express
_ZIP_MODE: Final = 0o644 << 16  # readable by the component's user even where no Permission is applied


@dataclass(frozen=True, slots=True)
class Pin:
    """One line of a requirements.txt: a package at one version.

    Attributes:
        requirement: `name==version`.
        marker: Environment marker, such as `python_full_version < '3.12'`; empty if it always holds.
        digests: SHA-256, in hexadecimal, of each file that may be installed.
    """

    requirement: str
    marker: str
    digests: tuple[str, ...]


class BuildError(Exception):
    """A component cannot be built.

    Attributes:
        component: Folder of the component, or `suite`.
        reason: What is wrong and what to do about it.
    """

    def __init__(self, component: str, reason: str) -> None:
        super().__init__(f"{component}: {reason}")
        self.component = component
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Component:
    """One GDK project: what its gdk-config.json and its recipe link say.

    Attributes:
        folder: Folder under components/, which is also its import package; `suite` for the project in the root.
        project: Directory that holds gdk-config.json.
        name: Greengrass component name.
        version: Semantic version.
        publisher: Author in gdk-config.json, ComponentPublisher in the recipe.
        bucket: Prefix of the bucket to publish to; the GDK adds region and account.
        region: AWS region to publish to.
        recipe: The recipe itself, behind the project's link.
        recipe_link: recipe.yaml in the project, where the GDK insists on it.
    """

    folder: str
    project: Path
    name: str
    version: str
    publisher: str
    bucket: str
    region: str
    recipe: Path
    recipe_link: Path


@dataclass(frozen=True, slots=True)
class LocalComponent:
    """A component laid out as a nucleus has it on disk after a deployment.

    Attributes:
        name: Greengrass component name.
        version: Semantic version.
        recipe: `<out>/recipes/<name>-<version>.yaml`.
        artifacts: `<out>/artifacts/<name>/<version>`, with the zip if the component has one.
        unarchived: `<out>/artifacts-unarchived/<name>/<version>`, what `{artifacts:decompressedPath}` stands for:
            holds one directory per zip, named like the zip without its suffix.
    """

    name: str
    version: str
    recipe: Path
    artifacts: Path
    unarchived: Path


def load(folder: str, root: Path = ROOT) -> Component:
    """Reads one project and refuses a recipe that disagrees with its gdk-config.json.

    Raises:
        BuildError: The component is unknown, a file is missing or malformed, or name, version or author differ.
    """
    if folder not in LAYERS:
        raise BuildError(folder, f"no such component; there are {', '.join(LAYERS)}")
    project = root if folder == SUITE else root / "components" / folder
    try:
        (name, config), *others = json.loads((project / "gdk-config.json").read_text("utf-8"))["component"].items()
        version, publisher = config["version"], config["author"]
        bucket, region = config["publish"]["bucket"], config["publish"]["region"]
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise BuildError(
            folder, f"{project / 'gdk-config.json'} is missing or no GDK configuration: {error}"
        ) from error
    if others:
        raise BuildError(folder, f"gdk-config.json names {1 + len(others)} components; the GDK takes exactly one")
    link = project / "recipe.yaml"
    component = Component(folder, project, name, version, publisher, bucket, region, follow_link(link, folder), link)
    _check_recipe(component)
    return component


def follow_link(link: Path, folder: str) -> Path:
    """The file behind a recipe link, also where a checkout without symlinks left a text file with the path.

    Raises:
        BuildError: The link leads nowhere.
    """
    if not link.is_file():
        raise BuildError(folder, f"{link} leads to no file; restore it as a link into recipes/")
    text = link.read_text("utf-8").strip()
    if "\n" in text or ":" in text:
        return link.resolve()
    target = (link.parent / text).resolve()
    if not target.is_file():
        raise BuildError(folder, f"{link} holds neither a recipe nor a path to one: {text!r}")
    return target


def _check_recipe(component: Component) -> None:
    size = component.recipe.stat().st_size
    if size > MAX_RECIPE_BYTES:
        raise BuildError(component.folder, f"{component.recipe.name} has {size} bytes, the limit is {MAX_RECIPE_BYTES}")
    text = component.recipe.read_text("utf-8")
    for key, wanted in (
        ("ComponentName", component.name),
        ("ComponentVersion", component.version),
        ("ComponentPublisher", component.publisher),
    ):
        found = re.search(rf"^{key}:[ ]*(.*?)[ ]*$", text, re.MULTILINE)
        value = found[1].strip("\"'") if found else None
        if value != wanted:
            raise BuildError(component.folder, f"{key} is {value!r} in the recipe and {wanted!r} in gdk-config.json")
    named, built = _ARTIFACT.findall(text), _artifact_names(component.folder)
    if sorted(named) != sorted(built):
        raise BuildError(component.folder, f"the recipe names the artifacts {named}, the build makes {built}")


def _artifact_names(folder: str) -> list[str]:
    return [] if folder == SUITE else [f"{folder}.zip"]


def pins_by_package(requirements: Path) -> dict[str, list[Pin]]:
    """What a requirements.txt, as uv writes it, pins: by the package's name, each version with its digests."""
    pins: dict[str, list[Pin]] = {}
    for block in re.findall(r"^[A-Za-z0-9].*(?:\n[ ].*)*", requirements.read_text("utf-8"), re.MULTILINE):
        requirement, _, marker = block.splitlines()[0].rstrip("\\ ").partition(" ; ")
        digests = tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", block))
        pins.setdefault(requirement.partition("==")[0], []).append(Pin(requirement, marker, digests))
    return pins


def requirements_file(folder: str, root: Path = ROOT) -> Path:
    """Where a component pins the packages to install on the gateway. Raises BuildError if it does not."""
    requirements = root / "components" / folder / "requirements.txt"
    if not requirements.is_file():
        raise BuildError(folder, f"{requirements} is missing; name the packages to install on the gateway")
    return requirements


def _pinned_wheels(folder: str, requirements: Path, wheels: Path) -> Iterator[Path]:
    """The wheels that a component's pins allow; by digest, so that no other file of the folder can slip in."""
    by_digest = {hashlib.sha256(file.read_bytes()).hexdigest(): file for file in wheels.glob("*.whl")}
    missing = []
    for package, pins in pins_by_package(requirements).items():
        found = [by_digest[digest] for pin in pins for digest in pin.digests if digest in by_digest]
        yield from found
        if not found:
            missing.append(package)
    if missing:
        raise BuildError(
            folder,
            f"{wheels} holds no wheel of {', '.join(missing)} that requirements.txt pins; "
            f"fetch them: python3 components/wheels.py {wheels}",
        )


def _sources(folder: str, root: Path, wheels: Path | None) -> Iterator[tuple[str, Path]]:
    """Name in the zip and file of everything a component ships. Import paths are those of the checkout."""
    components = root / "components"
    requirements = requirements_file(folder, root)
    yield "requirements.txt", requirements
    if wheels is not None:
        for wheel in _pinned_wheels(folder, requirements, wheels):
            yield f"wheels/{wheel.name}", wheel
    yield "roadside/__init__.py", components / "roadside" / "__init__.py"
    for package in (folder, *(f"roadside/{layer}" for layer in LAYERS[folder])):
        if not (components / package / "__init__.py").is_file():
            raise BuildError(folder, f"components/{package} is no package; add its __init__.py")
        for file in (components / package).rglob("*.py"):
            name = file.relative_to(components)
            if "greengrass-build" not in name.parts:  # a component's own project builds into its package
                yield name.as_posix(), file


def write_zip(folder: str, target: Path, root: Path = ROOT, wheels: Path | None = None) -> None:
    """Writes a component's zip. The same sources give the same bytes, on every machine and Python.

    A published version is immutable and devices check its digest, so a rebuild must not differ. Hence sorted names,
    a fixed time and mode, and no compression: deflated bytes change with the zlib at hand.
    """
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, file in sorted(_sources(folder, root, wheels)):
            info = zipfile.ZipInfo(name, _ZIP_TIME)
            info.create_system = 3  # Unix, also when built on Windows
            info.external_attr = _ZIP_MODE
            archive.writestr(info, file.read_bytes())


def _place_artifacts(component: Component, artifacts: Path, root: Path, wheels: Path | None) -> None:
    shutil.rmtree(artifacts, ignore_errors=True)
    artifacts.mkdir(parents=True)  # also for the suite: publish looks for this directory, empty or not
    for name in _artifact_names(component.folder):
        write_zip(component.folder, artifacts / name, root, wheels)


def build_project(folder: str, root: Path = ROOT, wheels: Path | None = None) -> Path:
    """Builds one GDK project into its greengrass-build/ as `gdk component publish` wants it; the suite with all others.

    Args:
        folder: Folder of the component, or `suite`.
        root: The checkout.
        wheels: Folder with wheels to pack, or None: the gateway fetches its packages from its index.

    Returns:
        The greengrass-build directory.

    Raises:
        BuildError: Something would make publishing or a deployment fail.
    """
    main = load(folder, root)
    parts = [load(each, root) for each in LAYERS if each != SUITE] if folder == SUITE else []
    out = main.project / "greengrass-build"
    shutil.rmtree(out, ignore_errors=True)
    recipes = out / "recipes"
    recipes.mkdir(parents=True)
    for component in (*parts, main):
        _place_artifacts(component, out / "artifacts" / component.name / component.version, root, wheels)
        shutil.copyfile(component.recipe, recipes / component.recipe.name)
    expected_by_gdk = recipes / main.recipe_link.resolve().name  # recipe.yaml itself where the checkout has no symlinks
    if not expected_by_gdk.exists():
        shutil.copyfile(main.recipe, expected_by_gdk)
    return out


def build_local(
    components: list[str], out: Path, root: Path = ROOT, wheels: Path | None = None
) -> list[LocalComponent]:
    """Lays components out for a local deployment, on the real nuclei and on the simulator's stand-in.

    Nucleus lite finds a local recipe only as `<name>-<version>.yaml` and unpacks no local zip, so both are done here.

    Args:
        components: Folders, such as `aggregator`; `suite` is one too.
        out: Receives recipes/, artifacts/ and artifacts-unarchived/; what it holds of these components is replaced.
        root: The checkout.
        wheels: As for `build_project`.

    Raises:
        BuildError: As `build_project`.
    """
    laid_out = []
    for component in (load(folder, root) for folder in components):
        local = LocalComponent(
            component.name,
            component.version,
            out / "recipes" / f"{component.name}-{component.version}.yaml",
            out / "artifacts" / component.name / component.version,
            out / "artifacts-unarchived" / component.name / component.version,
        )
        _place_artifacts(component, local.artifacts, root, wheels)
        shutil.rmtree(local.unarchived, ignore_errors=True)
        local.unarchived.mkdir(parents=True)
        for archive in sorted(local.artifacts.glob("*.zip")):
            with zipfile.ZipFile(archive) as opened:
                opened.extractall(local.unarchived / archive.stem)
        local.recipe.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(component.recipe, local.recipe)
        laid_out.append(local)
    return laid_out


def add_wheels_option(parser: argparse.ArgumentParser) -> None:
    """--wheels, with the environment's variable as its default."""
    variable = os.environ.get(WHEELS_VARIABLE)
    parser.add_argument(
        "--wheels",
        type=Path,
        metavar="DIR",
        default=ROOT / variable if variable else None,  # the GDK builds each component in its own folder
        help=f"pack the pinned wheels found in DIR; default: ${WHEELS_VARIABLE}, else none",
    )


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Build the Greengrass components.")
    parser.add_argument("component", nargs="?", default=SUITE, choices=LAYERS, help="one component; default: all")
    parser.add_argument("--local", type=Path, metavar="DIR", help="lay out for a local deployment in DIR instead")
    add_wheels_option(parser)
    options = parser.parse_args(arguments)
    try:
        if options.local:
            out: Path = options.local
            folders = list(LAYERS) if options.component == SUITE else [options.component]
            build_local(folders, out, wheels=options.wheels)
        else:
            out = build_project(options.component, wheels=options.wheels)
    except BuildError as error:
        print(f"build failed: {error}", file=sys.stderr)
        return 1
    for file in sorted(file for kind in ("recipes", "artifacts") for file in (out / kind).rglob("*") if file.is_file()):
        print(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
