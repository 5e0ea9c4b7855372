"""A deployed component: its recipe, its configuration, its policies, and how its process has to be started."""

from __future__ import annotations

import base64
import copy
import os
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from .authorization import AccessControl, AccessControlError
from .configuration import Change, ComponentConfiguration, KeyNotFoundError
from .errors import LocalNucleusError, RecipeError
from .operations import ACCESS_CONTROL
from .profiles import Profile
from .recipe import Recipe, interpolate
from .supervisor import ComponentProcess, RunSpecification

DEFAULT_REGION = "us-east-1"
_INHERITED = ("PATH", "HOME", "LANG")


@dataclass(frozen=True, slots=True)
class ComponentDeployment:
    """A component to deploy.

    Attributes
    ----------
    recipe_path
        The recipe, `.yaml` or `.json`.
    artifacts_dir
        The folder that holds the *unpacked* archives: `<artifacts_dir>/<archive's stem>/...`.
    python
        The virtual environment's prefix that stands for `{work:path}/venv`; None where the component needs none.
    configuration_merge
        Merged over the recipe's default configuration, as a deployment does. JSON types.
    """

    recipe_path: Path
    artifacts_dir: Path
    python: Path | None = None
    configuration_merge: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Device:
    """What is the same for all components of one device."""

    thing_name: str
    profile: Profile
    work_dir: Path
    socket_path: Path


class Component:
    """One deployed component.

    Raises
    ------
    RecipeError
        Its access control or a recipe variable is not what this nucleus takes.
    """

    def __init__(self, device: Device, deployment: ComponentDeployment, recipe: Recipe, now_ms: int) -> None:
        self._device = device
        self.deployment = deployment
        self.recipe = recipe
        self.configuration = ComponentConfiguration(case_sensitive=device.profile.case_sensitive_keys)
        self.token = _new_token(device.profile)
        self.process: ComponentProcess | None = None
        self.access_control = AccessControl(None, thing_name=device.thing_name)
        self.deploy(deployment, recipe, now_ms)

    def deploy(self, deployment: ComponentDeployment, recipe: Recipe, now_ms: int) -> list[Change]:
        """Become this revision: keep every configured value, add the defaults that are new, merge the deployment's."""
        configuration = copy.deepcopy(self.configuration)
        changes = configuration.add_defaults(recipe.default_configuration, now_ms)
        changes += configuration.merge((), deployment.configuration_merge, now_ms, skip_stale=True)
        self._check(configuration)
        self.deployment, self.recipe, self.configuration = deployment, recipe, configuration
        return changes

    def merge(self, values: Mapping[str, Any], now_ms: int) -> list[Change]:
        """Change the configuration as a deployment does; unlike UpdateConfiguration it reaches accessControl too."""
        configuration = copy.deepcopy(self.configuration)
        changes = configuration.merge((), values, now_ms, skip_stale=True)
        self._check(configuration)
        self.configuration = configuration
        return changes

    def run_specification(self) -> RunSpecification:
        """The process as the recipe and the present configuration describe it."""
        profile, name = self._device.profile, self.recipe.component
        resolve = partial(self._resolve, self.configuration)
        timeout_s = self.recipe.run_timeout_s if profile.stop_timeout_from_recipe else None
        return RunSpecification(
            script=interpolate(self.recipe.run_script, resolve),
            environment=self._base_environment()
            | {key: interpolate(value, resolve) for key, value in self.recipe.environment.items()},
            directory=self._directory,
            log_path=self._device.work_dir / "logs" / f"{name}.log",
            stop_timeout_s=profile.stop_timeout_s if timeout_s is None else timeout_s,
        )

    def prepare_directory(self) -> None:
        """Make the work directory, and in it the link that stands for what `install` would have made.

        Raises
        ------
        LocalNucleusError
            Something that is not a link is in the link's place.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        if self.deployment.python is None:
            return
        link, target = self._directory / "venv", self.deployment.python.absolute()
        if link.is_symlink():
            link.unlink()
        elif link.exists():
            raise LocalNucleusError(f"{link} is in the way of the link to {target}; remove it")
        link.symlink_to(target, target_is_directory=True)

    @property
    def _directory(self) -> Path:
        return self._device.work_dir / "work" / self.recipe.component

    def _check(self, configuration: ComponentConfiguration) -> None:
        try:
            document = configuration.get((ACCESS_CONTROL,))
        except KeyNotFoundError:
            document = None
        limit_bytes = self._device.profile.access_control_limit_bytes
        try:
            self.access_control = AccessControl(document, thing_name=self._device.thing_name, limit_bytes=limit_bytes)
        except AccessControlError as error:
            raise RecipeError(f"{ACCESS_CONTROL} of {self.recipe.component}: {error}") from error

    def _resolve(self, configuration: ComponentConfiguration, namespace: str, key: str) -> str | None:
        suffix = self._device.profile.directory_suffix
        fixed = {
            ("artifacts", "path"): f"{self.deployment.artifacts_dir.absolute()}{suffix}",
            ("artifacts", "decompressedPath"): f"{self.deployment.artifacts_dir.absolute()}{suffix}",
            ("work", "path"): f"{self._directory}{suffix}",
            ("kernel", "rootPath"): str(self._device.work_dir),
            ("iot", "thingName"): self._device.thing_name,
        }
        if namespace != "configuration":
            return fixed.get((namespace, key))
        try:
            return str(configuration.get(key.strip("/").split("/")))
        except KeyNotFoundError:
            return None

    def _base_environment(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        return {
            **inherited,
            "SVCUID": self.token,
            "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT": str(self._device.socket_path),
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": self.token,
            "AWS_IOT_THING_NAME": self._device.thing_name,
            "AWS_REGION": DEFAULT_REGION,
            "AWS_DEFAULT_REGION": DEFAULT_REGION,
            "GGC_VERSION": self._device.profile.nucleus_version,
        }


def _new_token(profile: Profile) -> str:
    if profile.tokens_are_base64:
        return base64.b64encode(secrets.token_bytes(12)).decode()
    return "".join(secrets.choice(string.ascii_uppercase) for _ in range(16))
