"""One AWS account on this machine: start it, reach it, stop it.

    with LocalCloud() as cloud:
        cloud.client("kinesis").list_streams()

The account is empty, lives in memory and is gone after `stop()`. Everything listens on 127.0.0.1 at free ports.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import boto3
from botocore.config import Config

from simulator.local_cloud.errors import LocalCloudError, StartError

REPOSITORY = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
ACCOUNT_ID = "000000000000"
REGION = "us-east-1"
# MiniStack takes this key for the account's root: it may do anything, also with policies enforced. Nothing else in the
# project may use it; devices, rules and functions act as themselves.
ADMINISTRATOR = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}

_LOG_TAIL_BYTES = 4_000
_START_ATTEMPTS = 3  # a free port can be taken between choosing and binding it


@dataclass(frozen=True, slots=True)
class LocalCloudSettings:
    """How to run the local cloud.

    Attributes
    ----------
    python:
        Interpreter of its own virtual environment; its minor version is the one Lambda functions run on.
    auth:
        Enforce IAM and IoT policies.
    run_dir:
        Folder for its log and temporary files, kept afterwards; None for a temporary one, removed by `stop()`.
    start_timeout_s, stop_timeout_s:
        Bounds on coming up and going down.
    log_level:
        Python level name of its log.
    """

    python: Path = REPOSITORY / ".venv-cloud" / "bin" / "python"
    auth: bool = True
    run_dir: Path | None = None
    start_timeout_s: float = 30.0
    stop_timeout_s: float = 10.0
    log_level: str = "WARNING"


class LocalCloud:
    """The stand-in for AWS, in a process of its own."""

    def __init__(self, settings: LocalCloudSettings | None = None) -> None:
        self.settings = settings or LocalCloudSettings()
        self._process: subprocess.Popen[bytes] | None = None
        self._run_dir: Path | None = None
        self._http_port = 0
        self._mqtt_port = 0
        self._ca_pem = ""
        self._clients: dict[str, Any] = {}
        self._resources: dict[str, Any] = {}
        self._session_lock = threading.Lock()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the process and wait until HTTP and MQTT answer.

        Raises
        ------
        StartError
            No interpreter, a refusal by the guard, or not ready in time; the text says which.
        """
        if self._process is not None:
            return
        if not self.settings.python.exists():
            raise StartError(f"the local cloud has no interpreter at {self.settings.python} (run: make test)")
        self._run_dir = self.settings.run_dir or Path(tempfile.mkdtemp(prefix="roadside-cloud-"))
        (self._run_dir / "tmp").mkdir(parents=True, exist_ok=True)
        try:
            self._start_on_free_ports()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the process and its Lambda workers, and remove its temporary files. Does nothing when stopped."""
        self._end_process()
        self._clients.clear()
        self._resources.clear()
        if self._run_dir is not None and self.settings.run_dir is None:
            shutil.rmtree(self._run_dir, ignore_errors=True)
        self._run_dir = None

    def reset(self) -> None:
        """Empty the account: stacks, tables, streams, devices and their certificate authority."""
        request = urllib.request.Request(f"{self.endpoint_url}/_ministack/reset", method="POST")  # noqa: S310
        with _open(request, timeout_s=self.settings.start_timeout_s):
            pass
        self._ca_pem = ""
        problem = self._wait_ready()
        if problem is not None:
            raise LocalCloudError(f"the local cloud did not come back from a reset: {problem}")

    @property
    def endpoint_url(self) -> str:
        """The URL of every HTTP service."""
        if self._process is None:
            raise LocalCloudError("the local cloud is not running: call start() first")
        return f"http://{HOST}:{self._http_port}"

    @property
    def mqtt_host(self) -> str:
        """Host of the device listener (mutual TLS; the name is in its certificate)."""
        return HOST

    @property
    def mqtt_port(self) -> int:
        """Port of the device listener."""
        return self._mqtt_port

    @property
    def ca_pem(self) -> str:
        """The certificate authority that devices trust; a reset makes a new one."""
        if not self._ca_pem:
            with _open(f"{self.endpoint_url}/_ministack/iot/ca.pem", timeout_s=10.0) as answer:
                self._ca_pem = answer.read().decode()
        return self._ca_pem

    @property
    def process_id(self) -> int:
        """Id of the process, which leads a process group with its Lambda workers."""
        if self._process is None:
            raise LocalCloudError("the local cloud is not running: call start() first")
        return self._process.pid

    def workers(self) -> dict[int, str]:
        """The processes of the functions: by id, the function's name, "" where it is not told."""
        found = {}
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = status.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[1]
                if int(parent) == self.process_id:
                    environment = (status.parent / "environ").read_bytes().decode(errors="replace")
                    name = environment.partition("\0AWS_LAMBDA_FUNCTION_NAME=")[2].partition("\0")[0]
                    found[int(status.parent.name)] = name
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended while it was looked at
        return found

    def kill_workers(self) -> int:
        """End the functions' processes as they are; each starts again when it is invoked. How many there were."""
        pids = list(self.workers())
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):  # it ended by itself
                os.kill(pid, signal.SIGKILL)
        return len(pids)

    def client(self, service: str) -> Any:
        """The administrator's boto3 client for a service; made once, safe to share between threads."""
        with self._session_lock:
            if service not in self._clients:
                make: Any = boto3.client
                self._clients[service] = make(service, **self._connection())
            return self._clients[service]

    def resource(self, service: str) -> Any:
        """The administrator's boto3 resource for a service; not safe to share between threads."""
        with self._session_lock:
            if service not in self._resources:
                make: Any = boto3.resource
                self._resources[service] = make(service, **self._connection())
            return self._resources[service]

    def environment(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """Environment variables for a program that shall administer this account, such as the cdk CLI.

        `base` defaults to our own environment; its AWS settings are dropped, so no real account can be reached.
        """
        inherited = os.environ if base is None else base
        environment = {name: value for name, value in inherited.items() if not name.startswith("AWS_")}
        no_proxy = ",".join(filter(None, [environment.get("NO_PROXY", ""), HOST, "localhost"]))
        return environment | {
            "AWS_ACCESS_KEY_ID": ADMINISTRATOR["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": ADMINISTRATOR["aws_secret_access_key"],
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ENDPOINT_URL_S3": self.endpoint_url,
            "NO_PROXY": no_proxy,
            "no_proxy": no_proxy,
        }

    def log_tail(self) -> str:
        """The last few lines of the process's log."""
        path = self._log_path()
        return path.read_text(errors="replace")[-_LOG_TAIL_BYTES:] if path and path.exists() else ""

    def _connection(self) -> dict[str, Any]:
        config = Config(
            connect_timeout=5,
            read_timeout=60,
            retries={"mode": "standard", "total_max_attempts": 2},
            max_pool_connections=32,
            proxies={},
        )
        return {"endpoint_url": self.endpoint_url, "region_name": REGION, "config": config, **ADMINISTRATOR}

    def _log_path(self) -> Path | None:
        return self._run_dir / "cloud.log" if self._run_dir else None

    def _start_on_free_ports(self) -> None:
        for attempts_left in reversed(range(_START_ATTEMPTS)):
            self._http_port, self._mqtt_port = _free_ports(2)
            self._launch()
            problem = self._wait_ready()
            if problem is None:
                return
            if "port" not in problem or not attempts_left:
                raise StartError(problem, self.log_tail())
            self._end_process()

    def _launch(self) -> None:
        log_path = self._log_path()
        if log_path is None or self._run_dir is None:
            raise LocalCloudError("start() must choose the folder first")
        # Lambda workers inherit this environment, so it holds nothing they could lean on by accident.
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._run_dir),
            "LANG": "C.UTF-8",
            "TMPDIR": str(self._run_dir / "tmp"),
            "BIND_HOST": HOST,
            "GATEWAY_PORT": str(self._http_port),
            "IOT_MTLS_PORT": str(self._mqtt_port),
            "LAMBDA_EXECUTOR": "local",
            "AUTH": "true" if self.settings.auth else "false",
            "SFTP_ENABLED": "0",
            "PERSIST_STATE": "0",
            "S3_PERSIST": "0",
            "MINISTACK_ACCOUNT_ID": ACCOUNT_ID,
            "MINISTACK_REGION": REGION,
            "LOG_LEVEL": self.settings.log_level,
            "NO_PROXY": f"{HOST},localhost",
            "ROADSIDE_END_WITH_OWNER": "1",
        }
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [str(self.settings.python), "-m", "simulator.local_cloud.launcher"],
                cwd=REPOSITORY,
                env=environment,
                stdin=subprocess.PIPE,  # closes with us, and the launcher ends then
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a process group to end as a whole
            )

    def _wait_ready(self) -> str | None:
        """Wait for the HTTP port and the device listener; what is wrong, or None when both are up."""
        process = self._process
        deadline_s = time.monotonic() + self.settings.start_timeout_s
        state = "no answer"
        while process is not None and time.monotonic() < deadline_s:
            if process.poll() is not None:
                reason = "a port was taken" if "already in use" in self.log_tail() else "the local cloud ended"
                return f"{reason} at start with exit code {process.returncode}"
            try:
                with _open(f"{self.endpoint_url}/_ministack/ready", timeout_s=2.0) as answer:
                    state = json.load(answer).get("iot_mtls", "unknown")
                if state == "listening":
                    return None
                if state == "degraded":
                    return f"the device listener could not bind port {self._mqtt_port}"
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                pass  # not up yet: the loop is bounded
            time.sleep(0.02)
        return f"the local cloud was not ready within {self.settings.start_timeout_s:g} s (device listener: {state})"

    def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        _signal_group(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):  # the group is killed below either way
            process.wait(self.settings.stop_timeout_s)
        _signal_group(process.pid, signal.SIGKILL)
        process.wait(self.settings.stop_timeout_s)


def _free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _signal_group(process_id: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # every process of the group has ended
        os.killpg(process_id, number)


_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _open(request: str | urllib.request.Request, *, timeout_s: float) -> IO[bytes]:
    """Open a URL of the local cloud, past any proxy the environment names."""
    answer: IO[bytes] = _direct.open(request, timeout=timeout_s)
    return answer
