"""Reads a component's recipe the way the chosen nucleus would, and refuses what that nucleus would not run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from platform import machine
from typing import Any

import yaml

from .errors import RecipeError
from .profiles import Profile

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "aarch64", "armv7l": "arm"}
_UNMODELLED_STEPS = ("startup", "shutdown", "recover", "bootstrap")
_VARIABLE = re.compile(r"\{((?:[\w.-]+:)?(?:artifacts|work|kernel|iot|configuration)):([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the stand-in uses of a recipe, for this machine.

    `run_script` and the values of `environment` still hold recipe variables; see `interpolate`.
    """

    component: str
    version: str
    default_configuration: Mapping[str, Any]
    run_script: str
    environment: Mapping[str, str]
    run_timeout_s: float | None


def read_recipe(path: Path, profile: Profile) -> Recipe:
    """Read a `.yaml` or `.json` recipe and choose the manifest for Linux, this machine and this nucleus.

    Where the profile says so every scalar of a YAML recipe becomes a string; a JSON recipe keeps its types.

    Raises
    ------
    RecipeError
        The file is not a recipe, no manifest fits, or a lifecycle step is not modelled.
    """
    document = _load(path, profile)
    component = _required(document, "ComponentName", path)
    version = _required(document, "ComponentVersion", path)
    manifest = _choose_manifest(document, profile, path)
    lifecycle = _mapping(manifest.get("Lifecycle"), f"{path.name}: Lifecycle")
    present = [step for step in _UNMODELLED_STEPS if step in lifecycle]
    if present:
        raise RecipeError(f"{path.name}: lifecycle step {present[0]!r} is not modelled; use 'run'")
    if "run" not in lifecycle:
        raise RecipeError(f"{path.name}: the manifest has no 'run' step; add one (nucleus lite refuses it too)")
    run = lifecycle["run"]
    step = run if isinstance(run, Mapping) else {"Script": run}
    environment = {
        **_mapping(lifecycle.get("Setenv", {}), f"{path.name}: Setenv"),
        **_mapping(step.get("Setenv", {}), f"{path.name}: run.Setenv"),
    }
    configuration = _mapping(document.get("ComponentConfiguration", {}), f"{path.name}: ComponentConfiguration")
    timeout = step.get("Timeout")
    return Recipe(
        component=component,
        version=version,
        default_configuration=_mapping(configuration.get("DefaultConfiguration", {}), "DefaultConfiguration"),
        run_script=_required(step, "Script", path),
        environment={name: str(value) for name, value in environment.items()},
        run_timeout_s=None if timeout is None else float(timeout),
    )


def interpolate(text: str, resolve: Callable[[str, str], str | None]) -> str:
    """Replace recipe variables; `resolve(namespace, key)` gives the value.

    Raises
    ------
    RecipeError
        A recipe variable that `resolve` does not know.
    """

    def replace(match: re.Match[str]) -> str:
        value = resolve(match[1], match[2])
        if value is None:
            raise RecipeError(f"recipe variable {match[0]} is not modelled")
        return value

    return _VARIABLE.sub(replace, text)


def _load(path: Path, profile: Profile) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            document = json.loads(text)
        else:
            # BaseLoader resolves no types at all: this is how 60 becomes '60' and true becomes 'true'.
            loader = yaml.BaseLoader if profile.yaml_scalars_are_strings else yaml.SafeLoader
            document = yaml.load(text, Loader=loader)  # noqa: S506 - BaseLoader and SafeLoader build no objects
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RecipeError(f"cannot read the recipe {path}: {error}") from error
    return _mapping(document, path.name)


def _choose_manifest(document: Mapping[str, Any], profile: Profile, path: Path) -> Mapping[str, Any]:
    manifests = document.get("Manifests")
    if not isinstance(manifests, list):
        raise RecipeError(f"{path.name}: Manifests is {manifests!r}; a list is required")
    for entry in manifests:
        manifest = _mapping(entry, f"{path.name}: manifest")
        if _fits(_mapping(manifest.get("Platform", {}), f"{path.name}: Platform"), profile):
            return manifest
    raise RecipeError(
        f"{path.name}: no manifest fits os linux, architecture {_architecture()}, nucleus {profile.name}; "
        "lite needs 'runtime: \"*\"' inside Platform"
    )


def _fits(platform: Mapping[str, Any], profile: Profile) -> bool:
    runtime = platform.get("runtime")
    runtime_fits = runtime in profile.manifest_runtimes or (runtime is None and not profile.runtime_required)
    architecture_fits = platform.get("architecture", "*") in ("*", _architecture())
    return runtime_fits and architecture_fits and platform.get("os", "*") in ("*", "all", "linux")


def _architecture() -> str:
    return _ARCHITECTURES.get(machine(), machine())


def _required(mapping: Mapping[str, Any], name: str, path: Path) -> str:
    value = mapping.get(name)
    if not isinstance(value, str) or not value:
        raise RecipeError(f"{path.name}: {name} is {value!r}; a string is required")
    return value


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise RecipeError(f"{where} is {value!r}; a mapping is required")
    return value
