"""The stand-in nucleus runs a recipe's real script as a process and looks after it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simulator.local_nucleus import (
    ComponentDeployment,
    ComponentState,
    LocalNucleus,
    LocalNucleusError,
    ProfileName,
    RecipeError,
    UnknownComponentError,
)

WAIT_S = 10.0
NAME = "test.Worker"
RECIPE = """
RecipeFormatVersion: "2020-01-25"
ComponentName: test.Worker
ComponentVersion: "1.0.0"
ComponentType: aws.greengrass.generic
ComponentDescription: A worker of the tests
ComponentPublisher: Tests
ComponentConfiguration:
  DefaultConfiguration:
    mode: echo
    accessControl:
      aws.greengrass.ipc.pubsub:
        "worker:1": {operations: ["aws.greengrass#SubscribeToTopic"], resources: ["in/*"]}
        "worker:2": {operations: ["aws.greengrass#PublishToTopic"], resources: ["out/*"]}
Manifests:
  - Platform: {os: windows, runtime: "*"}
    Lifecycle: {run: {Script: "exit 9"}}
  - Platform: {os: linux, runtime: "*"}
    Lifecycle:
      Setenv: {STATE_DIR: "{work:path}", PYTHONUNBUFFERED: "1"}
      install: {Script: "echo install must not run; exit 1"}
      run:
        Timeout: 1
        Script: |-
          export PYTHONPATH={artifacts:decompressedPath}/worker
          exec {work:path}/venv/bin/python3 -m worker --mode {configuration:/mode} --state-dir {work:path}
"""
# Speaks to the nucleus with the real SDK; says what it sees in its state directory.
ECHO = """
import json, os, signal, sys, threading
from pathlib import Path

state = Path(sys.argv[sys.argv.index("--state-dir") + 1])
mode = sys.argv[sys.argv.index("--mode") + 1]
(state / "environment.json").write_text(json.dumps(dict(os.environ)))
stop = threading.Event()
signal.signal(signal.SIGTERM, signal.SIG_IGN if mode == "deaf" else lambda *_: stop.set())
print("mode", mode, flush=True)
if mode == "crash":
    sys.exit(3)
if mode == "finish":
    sys.exit(0)
if mode == "deaf":
    print("deaf", flush=True)
    threading.Event().wait()

from concurrent.futures import ThreadPoolExecutor
from awsiot.greengrasscoreipc.clientv2 import GreengrassCoreIPCClientV2
from awsiot.greengrasscoreipc.model import BinaryMessage, PublishMessage

client = GreengrassCoreIPCClientV2(executor=ThreadPoolExecutor(1))

def echo(event):
    message = PublishMessage(binary_message=BinaryMessage(message=event.binary_message.message[::-1]))
    client.publish_to_topic_async(topic="out/x", publish_message=message).result(5)
    print("echoed", event.binary_message.message.decode(), flush=True)

client.subscribe_to_topic(topic="in/x", on_stream_event=echo)
print("ready", os.getpid(), flush=True)
stop.wait()
client.close().result(5)
print("graceful", flush=True)
"""


def until(condition: Callable[[], bool], what: str = "the condition did not become true in time") -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


class Gateway:
    """A nucleus and the worker's files."""

    def __init__(self, profile: ProfileName, directory: Path, restart_budget: int | None = None) -> None:
        self.directory = directory
        self.nucleus = LocalNucleus(
            thing_name="gw-1", profile=profile, work_dir=directory / "gateway", restart_budget=restart_budget
        )
        package = directory / "artifacts" / "worker"
        package.mkdir(parents=True)
        (package / "worker.py").write_text(ECHO)
        self.write_recipe(RECIPE)
        self.nucleus.start()

    def write_recipe(self, text: str) -> None:
        (self.directory / "recipe.yaml").write_text(text)

    def deploy(self, mode: str = "echo", *, run: bool = True) -> None:
        deployment = ComponentDeployment(
            recipe_path=self.directory / "recipe.yaml",
            artifacts_dir=self.directory / "artifacts",
            python=Path(sys.prefix),
            configuration_merge={"mode": mode},
        )
        assert self.nucleus.deploy(deployment, run=run) == NAME

    @property
    def log(self) -> str:
        path = self.nucleus.log_path(NAME)
        return path.read_text() if path.exists() else ""

    def until_listening(self) -> None:
        until(lambda: self.nucleus.publish_local("in/x", b"ping") == 1, f"nobody listens; the log: {self.log}")


OpenGateway = Callable[..., Gateway]


@pytest.fixture
def open_gateway(tmp_path: Path) -> Iterator[OpenGateway]:
    opened: list[Gateway] = []

    def open_one(profile: ProfileName, restart_budget: int | None = None) -> Gateway:
        opened.append(Gateway(profile, tmp_path / str(len(opened)), restart_budget))
        return opened[-1]

    yield open_one
    for gateway in opened:
        gateway.nucleus.stop()


@pytest.fixture(params=["classic", "lite"])
def gateway(request: pytest.FixtureRequest, open_gateway: OpenGateway) -> Gateway:
    return open_gateway(request.param)


def test_the_recipes_script_runs_with_the_sdk_and_stops_gracefully(gateway: Gateway) -> None:
    gateway.deploy()
    gateway.until_listening()
    until(lambda: "echoed ping" in gateway.log)
    assert gateway.nucleus.component_state(NAME) is ComponentState.RUNNING
    pid = gateway.nucleus.component_pid(NAME)
    assert f"ready {pid}\n" in gateway.log
    gateway.nucleus.stop_component(NAME)
    assert gateway.nucleus.component_state(NAME) is ComponentState.FINISHED
    assert gateway.nucleus.component_pid(NAME) is None
    assert "graceful" in gateway.log
    assert "install must not run" not in gateway.log
    assert gateway.nucleus.publish_local("in/x", b"gone") == 0
    gateway.nucleus.start_component(NAME)
    gateway.until_listening()


def test_the_environment_is_clean_and_complete(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROADSIDE_LEAK", "1")
    monkeypatch.setenv("PYTHONPATH", "/leak")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "leak")
    gateway.deploy("finish")
    assert gateway.nucleus.wait_for_state(NAME, ComponentState.FINISHED, timeout_s=WAIT_S)
    work = gateway.directory / "gateway" / "work" / NAME
    environment = json.loads((work / "environment.json").read_text())
    assert environment["SVCUID"] == environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"] == gateway.nucleus.auth_token(NAME)
    assert environment["AWS_IOT_THING_NAME"] == "gw-1"
    assert environment["AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT"] == str(gateway.nucleus.socket_path)
    assert environment["GGC_VERSION"] == gateway.nucleus.profile.nucleus_version
    assert environment["STATE_DIR"].rstrip("/") == str(work)
    assert environment["PATH"] == os.environ["PATH"]
    assert environment["PYTHONPATH"].endswith("worker")
    assert not {"ROADSIDE_LEAK", "AWS_SECRET_ACCESS_KEY"} & environment.keys()


def test_a_killed_component_is_restarted_and_listens_again(gateway: Gateway) -> None:
    gateway.deploy()
    gateway.until_listening()
    first = gateway.nucleus.component_pid(NAME)
    gateway.nucleus.kill_component(NAME)
    until(lambda: gateway.nucleus.component_starts(NAME) == 2)
    gateway.until_listening()
    second = gateway.nucleus.component_pid(NAME)
    assert second is not None
    assert second != first
    assert gateway.nucleus.component_state(NAME) is ComponentState.RUNNING


def test_a_crashing_component_breaks_after_three_starts(open_gateway: OpenGateway) -> None:
    gateway = open_gateway("classic")
    gateway.deploy("crash")
    assert gateway.nucleus.wait_for_state(NAME, ComponentState.BROKEN, timeout_s=WAIT_S)
    assert gateway.log.count("mode crash") == 3
    gateway.deploy("finish")
    assert gateway.nucleus.wait_for_state(NAME, ComponentState.FINISHED, timeout_s=WAIT_S)


def test_a_chaos_run_may_raise_the_restart_budget(open_gateway: OpenGateway) -> None:
    gateway = open_gateway("classic", restart_budget=5)
    gateway.deploy("crash")
    assert gateway.nucleus.wait_for_state(NAME, ComponentState.BROKEN, timeout_s=WAIT_S)
    assert gateway.nucleus.component_starts(NAME) == 5


def test_a_restart_that_was_asked_for_uses_up_the_budget_on_lite_only(gateway: Gateway) -> None:
    gateway.deploy()
    process = gateway.nucleus._process(NAME)
    for starts in (1, 2, 3):
        until(lambda starts=starts: gateway.log.count("ready") == starts, gateway.log)
        process.restart()
        until(lambda starts=starts: gateway.log.count("graceful") == starts, gateway.log)
    lite = gateway.nucleus.profile.name == "lite"
    wanted = frozenset({ComponentState.BROKEN if lite else ComponentState.RUNNING})
    assert process.wait_for_state(wanted, timeout_s=WAIT_S)


def test_exit_zero_is_not_restarted(gateway: Gateway) -> None:
    gateway.deploy("finish")
    assert gateway.nucleus.wait_for_state(NAME, ComponentState.FINISHED, timeout_s=WAIT_S)
    assert gateway.nucleus.component_starts(NAME) == 1


def test_a_component_deaf_to_sigterm_is_killed_after_the_profiles_time(open_gateway: OpenGateway) -> None:
    gateway = open_gateway("lite")  # lite takes the time from the recipe: 1 s here
    gateway.deploy("deaf")
    until(lambda: "mode deaf\ndeaf" in gateway.log)
    pid = gateway.nucleus.component_pid(NAME)
    assert pid is not None
    started = time.monotonic()
    gateway.nucleus.stop_component(NAME)
    assert 1.0 <= time.monotonic() - started < WAIT_S
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_only_a_change_that_reaches_the_script_restarts_the_process(gateway: Gateway) -> None:
    gateway.deploy()
    gateway.until_listening()
    pid = gateway.nucleus.component_pid(NAME)
    gateway.nucleus.update_configuration(NAME, {"logLevel": "DEBUG"})
    assert gateway.nucleus.component_pid(NAME) == pid
    gateway.nucleus.update_configuration(NAME, {"mode": "finish"})
    assert gateway.nucleus.wait_for_state(NAME, ComponentState.FINISHED, timeout_s=WAIT_S)
    until(lambda: "mode finish" in gateway.log)


def test_stopping_the_nucleus_leaves_no_process_and_no_socket(gateway: Gateway) -> None:
    gateway.deploy()
    gateway.until_listening()
    pid, path = gateway.nucleus.component_pid(NAME), gateway.nucleus.socket_path
    assert pid is not None
    assert len(str(path).encode()) < 108
    gateway.nucleus.stop()
    gateway.nucleus.stop()
    assert not path.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(LocalNucleusError):
        gateway.nucleus.publish_local("in/x", b"x")


def test_what_the_nucleus_does_not_know_is_said(gateway: Gateway) -> None:
    with pytest.raises(UnknownComponentError):
        gateway.nucleus.kill_component("test.Nobody")
    gateway.deploy(run=False)
    with pytest.raises(LocalNucleusError):
        gateway.nucleus.stop_component(NAME)
    with pytest.raises(LocalNucleusError):
        gateway.nucleus.publish_local("in/+", b"x")
    assert gateway.nucleus.component_state(NAME) is ComponentState.INSTALLED


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ComponentName: test.Worker", "ComponentName: [1]"),
        ("{os: linux, runtime", "{os: darwin, runtime"),
        ("run:\n        Timeout", "startup:\n        Timeout"),
        ("{configuration:/mode}", "{configuration:/absent}"),
        ("{work:path}/venv/bin", "{work:nonsense}/venv/bin"),
        ('resources: ["in/*"]', 'resources: ["in/?"]'),
        ("Manifests:", "Manifests: ["),
    ],
)
def test_a_recipe_that_the_nucleus_would_not_run_is_refused(gateway: Gateway, old: str, new: str) -> None:
    assert old in RECIPE
    gateway.write_recipe(RECIPE.replace(old, new))
    with pytest.raises(RecipeError):
        gateway.deploy()


def test_a_manifest_without_runtime_is_for_classic_only(open_gateway: OpenGateway) -> None:
    classic, lite = open_gateway("classic"), open_gateway("lite")
    for gateway in (classic, lite):
        gateway.write_recipe(RECIPE.replace('{os: linux, runtime: "*"}', "{os: linux}"))
    classic.deploy("finish")
    with pytest.raises(RecipeError, match="runtime"):
        lite.deploy("finish")


def test_a_redeployment_keeps_values_and_adds_new_defaults(gateway: Gateway) -> None:
    gateway.deploy("finish", run=False)
    gateway.write_recipe(RECIPE.replace("mode: echo", "mode: crash\n    added: yes please"))
    gateway.nucleus.deploy(
        ComponentDeployment(gateway.directory / "recipe.yaml", gateway.directory / "artifacts"), run=False
    )
    configuration = gateway.nucleus.configuration(NAME)
    assert (configuration["mode"], configuration["added"]) == ("finish", "yes please")
