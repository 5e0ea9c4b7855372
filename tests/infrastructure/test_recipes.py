"""The recipes keep the rules of both nuclei, name only topics of the contract, and agree with every other version.

The classic nucleus forgives much that nucleus lite does not, and neither says so before a device deploys.
"""

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

import roadside
from components import build
from components.reference import MODELS
from roadside.contract import topics
from roadside.runtime.settings import ACCESS_CONTROL, load_settings
from simulator.local_nucleus.configuration import integers_as_floats
from simulator.local_nucleus.profiles import PROFILES, Profile
from simulator.local_nucleus.recipe import read_recipe

ROOT = build.ROOT
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
PACKAGED = [folder for folder in build.LAYERS if folder != build.SUITE]
# False readings are not for every gateway.
OF_THE_SUITE = [folder for folder in PACKAGED if folder != "sensor_emulator"]

# The keys we use, in the case that nucleus lite insists on.
TOP_KEYS = {
    "RecipeFormatVersion", "ComponentName", "ComponentVersion", "ComponentType", "ComponentDescription",
    "ComponentPublisher", "ComponentConfiguration", "ComponentDependencies", "Manifests",
}  # fmt: skip
MANIFEST_KEYS = {"Name", "Platform", "Artifacts", "Lifecycle"}
ARTIFACT_KEYS = {"Uri", "Unarchive", "Permission"}
STEPS = {"install", "run"}
STEP_KEYS = {"Script", "Timeout"}
VARIABLES = {"{artifacts:decompressedPath}", "{work:path}"}
OPERATIONS = {
    "aws.greengrass.ipc.pubsub": {"aws.greengrass#SubscribeToTopic", "aws.greengrass#PublishToTopic"},
    "aws.greengrass.ipc.mqttproxy": {"aws.greengrass#SubscribeToIoTCore", "aws.greengrass#PublishToIoTCore"},
    "aws.greengrass.Cli": {"aws.greengrass#RestartComponent"},
}

every_recipe = pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)


def read(path: Path) -> dict[str, Any]:
    recipe = yaml.safe_load(path.read_text())
    assert isinstance(recipe, dict)
    return recipe


def recipe_of(folder: str) -> dict[str, Any]:
    return read(build.load(folder).recipe)


def needs_numpy(folder: str) -> bool:
    return bool({"core", "traffic"} & set(build.LAYERS[folder]))


def access_control(recipe: dict[str, Any]) -> dict[str, dict[str, Any]]:
    configuration = recipe.get("ComponentConfiguration", {}).get("DefaultConfiguration", {})
    policies = configuration.get("accessControl", {})
    assert isinstance(policies, dict)
    return policies


def granted(recipe: dict[str, Any]) -> set[tuple[str, str]]:
    """Every (operation, resource) that a recipe's accessControl grants."""
    return {
        (operation.removeprefix("aws.greengrass#"), resource)
        for policies in access_control(recipe).values()
        for policy in policies.values()
        for operation in policy["operations"]
        for resource in policy["resources"]
    }


@every_recipe
def test_recipe_has_exactly_the_keys_that_both_nuclei_know(path: Path) -> None:
    recipe = read(path)
    required = TOP_KEYS - {"ComponentConfiguration", "ComponentDependencies"}
    assert required <= recipe.keys() <= TOP_KEYS
    assert recipe["RecipeFormatVersion"] == "2020-01-25"
    assert recipe["ComponentType"] == "aws.greengrass.generic"
    assert recipe["ComponentDescription"].strip(), "without one nucleus lite loses the unit's PartOf"
    for manifest in recipe["Manifests"]:
        assert {"Platform", "Lifecycle"} <= manifest.keys() <= MANIFEST_KEYS
        assert manifest["Platform"]["os"] == "linux"
        assert manifest["Platform"]["runtime"] == "*", "nucleus lite skips a manifest without it"
        assert manifest["Platform"].get("architecture", "amd64") in {"amd64", "aarch64", "arm"}
        for artifact in manifest.get("Artifacts", []):
            assert artifact.keys() == ARTIFACT_KEYS
            assert artifact["Unarchive"] == "ZIP"
            assert artifact["Permission"] == {"Read": "ALL", "Execute": "NONE"}


@every_recipe
def test_recipe_fits_both_nuclei(path: Path) -> None:
    recipe = read(path)
    assert path.stat().st_size <= build.MAX_RECIPE_BYTES
    assert path.stem == recipe["ComponentName"]
    assert len(recipe["ComponentName"]) <= 128
    policies = json.dumps(access_control(recipe), separators=(",", ":"))
    assert len(policies) <= 4096, "nucleus lite denies everything to a component with longer policies"


@every_recipe
def test_lifecycle_uses_only_steps_and_variables_of_both_nuclei(path: Path) -> None:
    for manifest in read(path)["Manifests"]:
        lifecycle = manifest["Lifecycle"]
        steps = lifecycle.keys() - {"Setenv"}
        assert "run" in steps, "nucleus lite refuses a manifest without a step"
        assert steps <= STEPS
        for value in lifecycle.get("Setenv", {}).values():
            assert isinstance(value, str), "an environment value is a string"
        for step in steps:
            assert {"Script"} <= lifecycle[step].keys() <= STEP_KEYS
            script = lifecycle[step]["Script"]
            braces = re.findall(r"\{[^}]*\}?|\}", script)
            assert set(braces) <= VARIABLES, "both nuclei read braces as variables"
            assert "--user" not in script, "current distributions refuse pip --user"


@pytest.mark.parametrize("folder", PACKAGED)
def test_component_runs_from_its_zip_as_the_process_that_gets_the_signal(folder: str) -> None:
    (manifest,) = recipe_of(folder)["Manifests"]
    unpacked = "{artifacts:decompressedPath}/" + folder
    install, run = (manifest["Lifecycle"][step]["Script"].splitlines() for step in ("install", "run"))
    assert "set -e" in install, "or a failed venv would still be installed into"
    assert "python3 -m venv {work:path}/venv" in install
    assert f"if [ -d {unpacked}/wheels ]; then" in install
    assert f'  offline="--no-index --find-links {unpacked}/wheels"' in install
    assert f"--require-hashes $offline -r {unpacked}/requirements.txt" in install[-1]
    assert f"export PYTHONPATH={unpacked}" in run
    assert run[-1] == f"exec {{work:path}}/venv/bin/python3 -m {folder} --state-dir {{work:path}}"
    environment = manifest["Lifecycle"]["Setenv"]
    numpy = {"OPENBLAS_NUM_THREADS": "1"} if needs_numpy(folder) else {}
    assert environment == {"PYTHONUNBUFFERED": "1"} | numpy
    assert manifest["Lifecycle"]["install"]["Timeout"] > 120, "the default is too short for a cellular line"


def test_policy_ids_are_unique_on_the_device_and_begin_with_the_component() -> None:
    seen: set[str] = set()
    for path in RECIPES:
        recipe = read(path)
        for service, policies in access_control(recipe).items():
            for policy_id, policy in policies.items():
                assert policy_id.startswith(f"{recipe['ComponentName']}:{service.rsplit('.', 1)[1]}:")
                assert policy_id not in seen
                seen.add(policy_id)
                assert policy.keys() == {"policyDescription", "operations", "resources"}
                assert set(policy["operations"]) <= OPERATIONS[service]
    assert seen


@every_recipe
def test_local_resources_have_only_the_wildcard_that_matches(path: Path) -> None:
    for operation, resource in granted(read(path)):
        assert resource != "*", "never everything"
        if operation.endswith("ToTopic"):
            assert not set("+#?") & set(resource), "local policies take + and # literally"
        assert not re.search(r"\{(?!iot:thingName\})", resource)
        assert len(resource.encode()) <= topics.MAX_TOPIC_BYTES


def cloud(topic: str) -> str:
    """A topic of the gateway THING as a recipe writes it."""
    return topics.recipe_resource(topic)


def status(component: str) -> str:
    return topics.status(f"city.roadside.{component}")


# What the code of each component asks the nucleus for: no less, or it is refused, and no more.
GRANTED = {
    "aggregator": {
        ("SubscribeToTopic", topics.READINGS_RESOURCE),
        ("SubscribeToTopic", topics.FRAMES_RESOURCE),
        ("SubscribeToTopic", status("Aggregator")),
        ("PublishToTopic", status("Aggregator")),
        ("PublishToIoTCore", cloud(topics.uplink("windows", "THING"))),
        ("PublishToIoTCore", cloud(topics.uplink("sensors", "THING"))),
        ("PublishToIoTCore", cloud(topics.uplink("events", "THING"))),
        ("SubscribeToIoTCore", cloud(topics.acks("THING"))),
        ("SubscribeToIoTCore", cloud(topics.commands("THING"))),
    },
    "sensor_ingest": {
        ("PublishToTopic", topics.FRAMES_RESOURCE),
        ("PublishToTopic", status("SensorIngest")),
    },
    "monitor": {
        ("SubscribeToTopic", topics.STATUS_RESOURCE),
        ("PublishToTopic", status("Monitor")),
        ("PublishToIoTCore", cloud(topics.uplink("heartbeat", "THING"))),
        *(("RestartComponent", build.load(folder).name) for folder in OF_THE_SUITE if folder != "monitor"),
    },
    "sensor_emulator": {
        ("PublishToTopic", topics.frames("emulator")),
        ("PublishToTopic", status("SensorEmulator")),
    },
}


@pytest.mark.parametrize("folder", PACKAGED)
def test_component_is_granted_what_its_code_asks_for_and_nothing_else(folder: str) -> None:
    assert granted(recipe_of(folder)) == GRANTED[folder]


@pytest.mark.parametrize("folder", PACKAGED)
def test_component_names_topics_in_the_contract_alone(folder: str) -> None:
    for file in (ROOT / "components" / folder).rglob("*.py"):
        code = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Constant)]
        spelled = [
            node.value for node in code if isinstance(node.value, str) and re.match(r"roadside/v\d|\$aws/", node.value)
        ]
        assert not spelled, f"{file.name} spells {spelled}, which this test cannot compare with the recipe"


@pytest.mark.parametrize(
    ("requested", "resource"),
    [
        (topics.STATUS_FILTER, topics.STATUS_RESOURCE),
        (topics.READINGS_FILTER, topics.READINGS_RESOURCE),
        (topics.FRAMES_FILTER, topics.FRAMES_RESOURCE),
    ],
)
def test_local_filter_is_covered_as_a_string_by_the_resource_that_grants_it(requested: str, resource: str) -> None:
    pattern = ".*".join(re.escape(part) for part in resource.split("*"))
    assert re.fullmatch(pattern, requested)


def keys_below(tree: Any) -> Iterator[list[str]]:
    """The keys of every object in a configuration."""
    for value in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from keys_below(value)
    if isinstance(tree, dict):
        yield list(tree)


@pytest.mark.parametrize("folder", PACKAGED)
def test_defaults_of_the_recipe_are_those_of_the_code(folder: str) -> None:
    configuration = recipe_of(folder)["ComponentConfiguration"]["DefaultConfiguration"]
    in_code = json.loads(msgspec.json.encode(MODELS[folder]()))
    # A key whose default is to be absent is left out: nuclei do not keep a null.
    assert {key: value for key, value in configuration.items() if key != ACCESS_CONTROL} == {
        key: value for key, value in in_code.items() if value is not None
    }


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
@pytest.mark.parametrize("folder", PACKAGED)
def test_component_understands_its_defaults_as_each_nucleus_hands_them_out(folder: str, profile: Profile) -> None:
    recipe = read_recipe(build.load(folder).recipe, profile)
    tree = dict(recipe.default_configuration)
    if profile.json_numbers_are_floats:
        tree = integers_as_floats(tree)
    assert load_settings(MODELS[folder], tree) == MODELS[folder]()


@every_recipe
def test_configuration_keys_stay_apart_where_their_case_does_not_count(path: Path) -> None:
    for keys in keys_below(read(path).get("ComponentConfiguration", {})):
        assert len({key.casefold() for key in keys}) == len(keys), "the classic nucleus takes them for the same"
        assert all(re.fullmatch(r"[A-Za-z0-9_.:\-]+", key) for key in keys)


@every_recipe
def test_a_gateway_of_either_architecture_finds_exactly_one_manifest(path: Path) -> None:
    platforms = [manifest["Platform"] for manifest in read(path)["Manifests"]]
    for architecture in ("amd64", "aarch64"):
        assert sum(each.get("architecture", architecture) == architecture for each in platforms) == 1


@every_recipe
def test_dependencies_are_soft_and_in_the_range_syntax_of_both_nuclei(path: Path) -> None:
    for name, dependency in read(path).get("ComponentDependencies", {}).items():
        assert dependency.keys() == {"VersionRequirement", "DependencyType"}
        assert dependency["DependencyType"] == "SOFT", f"a hard dependency on {name} restarts this component with it"
        assert re.fullmatch(
            r"(?:>=|<=|>|<|=)\d+\.\d+\.\d+(?: (?:>=|<=|>|<|=)\d+\.\d+\.\d+)*", dependency["VersionRequirement"]
        )


def test_sensor_emulator_is_deployed_only_where_somebody_asks_for_it_by_name() -> None:
    assert "city.roadside.SensorEmulator" not in recipe_of(build.SUITE)["ComponentDependencies"]


def test_suite_depends_on_every_other_component_at_the_version_that_is_built() -> None:
    dependencies = recipe_of(build.SUITE)["ComponentDependencies"]
    ours = {build.load(folder).name: Version(build.load(folder).version) for folder in OF_THE_SUITE}
    assert dependencies.keys() - {"aws.greengrass.Nucleus"} == ours.keys()
    for name, version in ours.items():
        wanted = dependencies[name]["VersionRequirement"].replace(" ", ",")
        assert version in SpecifierSet(wanted)
        assert Version(f"{version.major}.{version.minor + 1}.0") not in SpecifierSet(wanted), "a range ends"


def test_one_version_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {build.load(folder).version for folder in build.LAYERS} == {project["version"], roadside.VERSION}
    assert re.search(rf"^## {re.escape(project['version'])} ", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("folder", PACKAGED)
def test_gateway_installs_the_pinned_versions_of_the_project_and_no_others(folder: str) -> None:
    def pins(file: Path) -> dict[tuple[str, str], tuple[str, frozenset[str]]]:
        found = {}
        for block in re.findall(r"^[a-z].*(?:\n +.*)*", file.read_text(), re.MULTILINE):
            requirement = Requirement(re.split(r"\s+\\", block, maxsplit=1)[0])
            found[requirement.name, str(requirement.marker or "")] = (
                str(requirement.specifier),
                frozenset(re.findall(r"--hash=(sha256:[0-9a-f]{64})", block)),
            )
        return found

    gateway, project = pins(ROOT / "components" / folder / "requirements.txt"), pins(ROOT / "requirements.lock")
    assert gateway.items() <= project.items()
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    needed = {Requirement(each).name for each in dependencies}
    if not needs_numpy(folder):
        needed -= {"numpy"}
    assert {name for name, _ in gateway} - {"awscrt"} == needed


def test_every_gdk_project_runs_our_build_without_a_shell() -> None:
    for folder in build.LAYERS:
        project = build.load(folder).project
        configuration = json.loads((project / "gdk-config.json").read_text())
        (component,) = configuration["component"].values()
        assert configuration["gdk_version"] == "1.6.2"
        assert component["build"]["build_system"] == "custom"
        interpreter, script, *arguments = component["build"]["custom_build_command"]
        assert interpreter == "python3"
        assert (project / script).resolve() == Path(build.__file__).resolve()
        assert arguments == ([] if folder == build.SUITE else [folder])
        assert component["publish"].keys() == {"bucket", "region"}, "the GDK wants both, with artifacts or without"
        assert component["version"] != "NEXT_PATCH", "no local deployment is possible with it"
    targets = {(each.bucket, each.region) for each in map(build.load, build.LAYERS)}
    assert len(targets) == 1, "components/publish.py publishes everything to one place"


def test_every_recipe_belongs_to_one_gdk_project() -> None:
    assert sorted(build.load(folder).recipe for folder in build.LAYERS) == RECIPES
