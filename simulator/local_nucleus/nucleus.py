"""`LocalNucleus`: the stand-in's public face. See the package's docstring for what it is and what it is not."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from secrets import compare_digest
from typing import Any, TypeVar

from .authorization import AccessControl
from .cloud_proxy import CloudCounters, CloudProxy
from .component import Component, ComponentDeployment, Device
from .configuration import ComponentConfiguration
from .errors import LocalNucleusError, UnknownComponentError
from .faults import Faults
from .operations import Operations
from .ports import CloudLink
from .profiles import PROFILES, Profile, ProfileName
from .pubsub import LocalBus
from .recipe import Recipe, read_recipe
from .session import Session, SessionCounters, Stream
from .supervisor import RESTING_STATES, ComponentProcess, ComponentState

T = TypeVar("T")

_BINARY_PUBLISH_OVERHEAD_BYTES = 260
"""What the SDK puts around the base64 text and the topic of a binary PublishToTopic, in a frame's body."""

logger = logging.getLogger(__name__)


class LocalNucleus:
    """One gateway's stand-in nucleus: a Unix socket, a configuration store, and the components' processes.

    Every public method may be called from any thread but the nucleus's own.

    Parameters
    ----------
    thing_name
        The device's name; substituted for `{iot:thingName}`.
    profile
        Which nucleus to stand in for.
    work_dir
        Holds `work/<component>/` and `logs/<component>.log`; survives, so a second run finds the components' state.
    cloud
        The device's connection, or None: offline for ever. The nucleus does not close it.
    restart_budget
        Starts before a failing component is BROKEN. None is the profile's number; chaos runs may raise it.
    """

    def __init__(
        self,
        *,
        thing_name: str,
        profile: ProfileName,
        work_dir: Path,
        cloud: CloudLink | None = None,
        restart_budget: int | None = None,
    ) -> None:
        self.thing_name = thing_name
        self.profile: Profile = PROFILES[profile]
        self.counters = SessionCounters()
        self.faults = Faults(self._silence)
        self._work_dir = work_dir.absolute()
        self._cloud_link = cloud
        self._restart_budget = restart_budget
        self._components: dict[str, Component] = {}
        self._sessions: set[Session] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._socket_dir: Path | None = None
        self._bus = LocalBus(self.profile)

    # life

    def start(self) -> None:
        """Open the socket and serve it from a thread of its own.

        Raises
        ------
        LocalNucleusError
            Started already.
        OSError
            The socket cannot be made.
        """
        if self._loop is not None:
            raise LocalNucleusError("the nucleus is running already")
        (self._work_dir / "logs").mkdir(parents=True, exist_ok=True)
        # A socket path holds at most 107 bytes, which a work directory easily exceeds.
        self._socket_dir = Path(tempfile.mkdtemp(prefix="ipc-"))
        self._loop = asyncio.new_event_loop()
        name = f"nucleus-{self.thing_name}"
        self._thread = threading.Thread(target=self._run, args=(self._loop,), name=name, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(str(self.socket_path)), self._loop).result()

    def stop(self) -> None:
        """Stop the components (all at once, SIGTERM first), drop the connections, remove the socket. Idempotent."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        processes = [c.process for c in self._components.values() if c.process is not None]
        if processes:
            with ThreadPoolExecutor(len(processes)) as pool:
                list(pool.map(ComponentProcess.stop, processes))
        asyncio.run_coroutine_threadsafe(self._close(), loop).result()
        self._loop = None
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        if self._socket_dir is not None:
            shutil.rmtree(self._socket_dir)

    def __enter__(self) -> LocalNucleus:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def socket_path(self) -> Path:
        """The Unix socket that components connect to."""
        if self._socket_dir is None:
            raise LocalNucleusError("the nucleus has no socket before start()")
        return self._socket_dir / "ipc.socket"

    # components

    def deploy(self, deployment: ComponentDeployment, *, run: bool = True) -> str:
        """Deploy a component, or a new revision of it, and start its process. Returns the component's name.

        An upgrade keeps every configured value and adds the keys that are new. `install` is not run.

        Raises
        ------
        RecipeError
            The recipe, its access control or its variables are not what this nucleus runs.
        """
        recipe = read_recipe(deployment.recipe_path, self.profile)
        component = self._call(self._register, deployment, recipe)
        if run:
            self._run_process(component)
        return recipe.component

    def update_configuration(self, component: str, merge: Mapping[str, Any]) -> None:
        """Change a component's configuration as a deployment does: merge, notify the subscribers.

        The process restarts only where a changed value is part of its script or environment.

        Raises
        ------
        UnknownComponentError, RecipeError
        """
        entry = self._entry(component)
        self._call(self._merge, entry, merge)
        process = entry.process
        if process is not None and process.state not in RESTING_STATES:
            self._run_process(entry)

    def configuration(self, component: str) -> dict[str, Any]:
        """A copy of a component's configuration."""
        tree: dict[str, Any] = self._call(self._entry(component).configuration.get, ())
        return tree

    def start_component(self, name: str) -> None:
        """Start a component that was stopped, has finished or is broken; its restart budget begins anew."""
        self._run_process(self._entry(name))

    def stop_component(self, name: str) -> None:
        """SIGTERM, then SIGKILL after the profile's time; returns when the process is gone."""
        self._process(name).stop()

    def kill_component(self, name: str) -> None:
        """SIGKILL; the supervisor restarts the component as the profile says."""
        self._process(name).kill()

    def cut_power(self, name: str) -> None:
        """SIGKILL, and no restart before `start_component`; returns when the process is gone."""
        self._process(name).cut_power()

    def component_state(self, name: str) -> ComponentState:
        """The component's state."""
        process = self._entry(name).process
        return ComponentState.INSTALLED if process is None else process.state

    def component_pid(self, name: str) -> int | None:
        """The component's process id, or None while it does not run."""
        process = self._entry(name).process
        return None if process is None else process.pid

    def component_starts(self, name: str) -> int:
        """How often the component's process was started."""
        process = self._entry(name).process
        return 0 if process is None else process.start_count

    def wait_for_state(self, name: str, *states: ComponentState, timeout_s: float) -> bool:
        """Wait until the component is in one of the states; False after `timeout_s`."""
        return self._process(name).wait_for_state(frozenset(states), timeout_s)

    def log_path(self, name: str) -> Path:
        """Where the component's stdout and stderr go."""
        return self._work_dir / "logs" / f"{name}.log"

    def auth_token(self, name: str) -> str:
        """The token a component connects with (its SVCUID); tests use it to connect in the component's name."""
        return self._entry(name).token

    # messages and faults

    def publish_local(self, topic: str, payload: bytes) -> int:
        """Publish bytes on a local topic, as a component of another name would.

        Returns the number of subscriptions it was delivered to (0: nobody listens, or they have stopped reading).

        Raises
        ------
        LocalNucleusError
            A real component could not have sent it: a wildcard in the topic, or larger than a frame.
        """
        largest = self.profile.max_frame_body_bytes - _BINARY_PUBLISH_OVERHEAD_BYTES - len(topic.encode())
        if 4 * ((len(payload) + 2) // 3) > largest:
            raise LocalNucleusError(f"{len(payload)} bytes on {topic!r} do not fit a frame of {self.profile.name}")
        if "+" in topic or "#" in topic or "*" in topic:
            raise LocalNucleusError(f"topic {topic!r} holds a wildcard; publish to one topic")
        return self._call(self._bus.publish_binary, topic, payload, None)

    def announce_component_update(self, deployment_id: str, timeout_s: float = 60.0) -> dict[str, int | None]:
        """Ask the subscribed components before an update and wait for their answers.

        Returns, for each subscribed component, the milliseconds it wants to defer (0: go on; None: no answer in time).
        """
        loop = self._running_loop()
        answers: Future[dict[str, int | None]] = self._call(
            self._operations.updates.announce, deployment_id, timeout_s, loop.call_later
        )
        return answers.result()

    def drop_connections(self) -> None:
        """Cut every component's connection, as a crash of the nucleus does."""
        self._call(self._abort_sessions)

    @property
    def connection_count(self) -> int:
        """Components connected now."""
        return self._call(len, self._sessions)

    @property
    def cloud_counters(self) -> CloudCounters:
        """What became of the components' publishes to IoT Core."""
        return self._cloud.counters

    # for the session and the operations; on the event loop

    def authenticate(self, token: str) -> str | None:
        """The component that owns the token."""
        for name, component in self._components.items():
            if compare_digest(component.token.encode(), token.encode()):
                return name
        return None

    def dispatch(self, component: str, operation: str, request: dict[str, Any], stream: Stream) -> None:
        """Serve a request; see `Operations.dispatch`."""
        self._operations.dispatch(component, operation, request, stream)

    def configuration_of(self, component: str) -> ComponentConfiguration | None:
        """A component's configuration, or None."""
        entry = self._components.get(component)
        return None if entry is None else entry.configuration

    def access_control_of(self, component: str) -> AccessControl:
        """A component's policies."""
        return self._components[component].access_control

    def report_state(self, component: str, state: str) -> None:
        """A component spoke about itself. RUNNING is what it is already; ERRORED ends it where the nucleus heeds it."""
        process = self._components[component].process
        if state == "ERRORED" and self.profile.errored_state_restarts and process is not None:
            process.fail()

    def request_restart(self, component: str) -> None:
        """A component asked to restart another one; one that was deployed without a process has nothing to restart."""
        process = self._components[component].process
        if process is not None:
            # Not on the event loop: a start forks.
            threading.Thread(target=process.restart, name=f"restart-{component}", daemon=True).start()

    # inside

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            loop.close()

    async def _open(self, socket_path: str) -> None:
        self._cloud = CloudProxy(self.profile, self._cloud_link, self.faults, self._post)
        self._operations = Operations(self.profile, self, self._bus, self._cloud)
        new_session = partial(Session, self.profile, self, self.faults, self._sessions, self.counters)
        self._server = await asyncio.get_running_loop().create_unix_server(new_session, socket_path, backlog=256)

    async def _close(self) -> None:
        self._server.close()
        self._abort_sessions()
        await asyncio.sleep(0)  # connection_lost of the aborted transports runs now

    def _abort_sessions(self) -> None:
        for session in list(self._sessions):
            session.abort()

    def _silence(self) -> None:
        self._call(self._operations.silence)

    def _register(self, deployment: ComponentDeployment, recipe: Recipe) -> Component:
        now_ms = time.time_ns() // 1_000_000
        component = self._components.get(recipe.component)
        if component is None:
            device = Device(self.thing_name, self.profile, self._work_dir, self.socket_path)
            component = Component(device, deployment, recipe, now_ms)
            self._components[recipe.component] = component
        else:
            changes = component.deploy(deployment, recipe, now_ms)
            self._operations.configuration_changed(recipe.component, changes)
        return component

    def _merge(self, component: Component, merge: Mapping[str, Any]) -> None:
        changes = component.merge(merge, time.time_ns() // 1_000_000)
        self._operations.configuration_changed(component.recipe.component, changes)

    def _run_process(self, component: Component) -> None:
        """Start the process, or restart it where it is not what the component describes now."""
        specification = self._call(component.run_specification)
        component.prepare_directory()
        if component.process is None:
            name = component.recipe.component
            component.process = ComponentProcess(name, specification, self.profile, self._restart_budget)
        elif component.process.specification != specification:
            component.process.stop()
            component.process.specification = specification
        component.process.start()

    def _entry(self, name: str) -> Component:
        try:
            return self._components[name]
        except KeyError as error:
            raise UnknownComponentError(name) from error

    def _process(self, name: str) -> ComponentProcess:
        process = self._entry(name).process
        if process is None:
            raise LocalNucleusError(f"component {name!r} was deployed with run=False; it has no process")
        return process

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise LocalNucleusError("the nucleus is not running; call start() first")
        return self._loop

    def _call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a function on the event loop and wait for its result."""
        if threading.current_thread() is self._thread:
            raise LocalNucleusError("a blocking call from the nucleus's own thread would wait for itself")
        outcome: Future[T] = Future()

        def run() -> None:
            try:
                outcome.set_result(function(*arguments))
            except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
                outcome.set_exception(error)

        self._running_loop().call_soon_threadsafe(run)
        return outcome.result()

    def _post(self, function: Callable[..., None], *arguments: Any) -> None:
        """Run a function on the event loop soon; after the end, not at all."""
        loop = self._loop
        if loop is None:
            return
        try:
            loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            logger.debug("the nucleus of %s stopped before %s ran", self.thing_name, function)
