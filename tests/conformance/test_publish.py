"""components/publish.py against an account on the loopback, with the real GDK where it is installed."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components import build
from tests.checkouts import copy_checkout
from tests.conformance.greengrass_endpoint import ACCOUNT, ADMINISTRATOR, READER, GreengrassEndpoint, serving

REAL = shutil.which("gdk")
SHIPPED = [folder for folder in build.LAYERS if folder != build.SUITE]
VERSION = build.load(build.SUITE).version
STAND_IN = Path(__file__).with_name("gdk_stand_in.py")

Run = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.timeout(300)  # each call of the real gdk asks the internet for a newer one first


@pytest.fixture
def account() -> Iterator[GreengrassEndpoint]:
    with serving() as endpoint:
        yield endpoint


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return copy_checkout(tmp_path / "checkout")


@pytest.fixture
def stand_in(tmp_path: Path) -> str:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "gdk").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STAND_IN}" "$@"\n')
    (programs / "gdk").chmod(0o755)
    return str(programs)


@pytest.fixture(params=["stand-in", "real gdk"])
def gdk(request: pytest.FixtureRequest, stand_in: str) -> str:
    """The folder of a gdk, for PATH."""
    if request.param == "stand-in":
        return stand_in
    if REAL is None:
        pytest.skip("the Greengrass Development Kit (gdk 1.6.2) is not on PATH")
    return str(Path(REAL).parent)


@pytest.fixture
def publish(checkout: Path, account: GreengrassEndpoint) -> Run:
    """Runs the checkout's publish.py; by default as the administrator of the account."""

    def run(*arguments: str, gdk: str = "", user: str = ADMINISTRATOR) -> "subprocess.CompletedProcess[str]":
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment |= {"PATH": f"{gdk}:/usr/bin:/bin", "HOME": str(checkout), "AWS_ENDPOINT_URL": account.url}
        environment |= {"AWS_EC2_METADATA_DISABLED": "true"}
        if user:
            environment |= {"AWS_ACCESS_KEY_ID": user, "AWS_SECRET_ACCESS_KEY": "secret"}
        command = [sys.executable, str(checkout / "components" / "publish.py"), *arguments]
        return subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False)

    return run


def names(*folders: str) -> list[str]:
    return [build.load(folder).name for folder in folders]


def published(account: GreengrassEndpoint) -> list[str]:
    return [change.split()[1] for change in account.changes if change.startswith("version ")]


def test_everything_is_published_once_the_leaves_first_and_a_rerun_skips_it(
    publish: Run, account: GreengrassEndpoint, checkout: Path, gdk: str
) -> None:
    first = publish(gdk=gdk)
    assert (first.returncode, first.stderr) == (0, ""), first.stdout + first.stderr
    assert published(account) == names(*build.LAYERS)
    assert published(account)[-1] == "city.roadside.Suite"
    bucket = f"roadside-components-us-east-1-{ACCOUNT}"
    for folder in SHIPPED:
        name = build.load(folder).name
        key = f"{name}/{VERSION}/{folder}.zip"
        build.write_zip(folder, checkout / "again.zip", checkout)
        assert account.objects[bucket, key] == (checkout / "again.zip").read_bytes()
        (artifact,) = account.recipes[name][VERSION]["Manifests"][0]["Artifacts"]
        assert artifact["Uri"] == f"s3://{bucket}/{key}"

    before = list(account.changes)
    second = publish(gdk=gdk)
    assert (second.returncode, account.changes) == (0, before)
    assert [line.split()[:2] for line in second.stdout.splitlines()[1:]] == [
        ["skipped", name] for name in names(*build.LAYERS)
    ]


def test_some_components_go_to_another_region_and_bucket_from_a_checkout_without_links(
    publish: Run, account: GreengrassEndpoint, checkout: Path, gdk: str
) -> None:
    shutil.rmtree(checkout)
    copy_checkout(checkout, links=False)
    result = publish("sensor_ingest", "aggregator", "--region", "eu-central-1", "--bucket", "artifacts", gdk=gdk)
    assert result.returncode == 0, result.stdout + result.stderr
    assert account.locations == {"artifacts": "eu-central-1"}
    assert published(account) == names("sensor_ingest", "aggregator")


def test_existing_version_with_another_artifact_is_refused_before_anything_is_touched(
    publish: Run, account: GreengrassEndpoint, checkout: Path, gdk: str
) -> None:
    assert publish("aggregator", gdk=gdk).returncode == 0
    before, objects = list(account.changes), dict(account.objects)
    with (checkout / "components" / "aggregator" / "__init__.py").open("a") as file:
        file.write("# changed\n")
    result = publish(gdk=gdk)
    assert result.returncode == 1
    assert f"the account has city.roadside.Aggregator {VERSION} with another artifact" in result.stderr
    assert "raise the version" in result.stderr
    assert (account.changes, account.objects) == (before, objects)


def test_what_gdk_says_of_its_failure_is_shown_and_the_rest_waits(
    publish: Run, account: GreengrassEndpoint, gdk: str
) -> None:
    result = publish(gdk=gdk, user=READER)
    assert result.returncode == 1
    assert f"not published: city.roadside.Aggregator {VERSION}: gdk ended with status 1" in result.stderr
    assert "AccessDenied" in result.stderr
    assert "Traceback" not in result.stderr
    assert not account.changes


def test_dry_run_tells_what_would_be_done_and_does_nothing(
    publish: Run, account: GreengrassEndpoint, stand_in: str
) -> None:
    assert publish("aggregator", gdk=stand_in).returncode == 0
    before = list(account.changes)
    result = publish("--dry-run", user=READER)  # needs neither gdk nor permission to write
    assert result.returncode == 0
    assert f"account {ACCOUNT}, region us-east-1, bucket roadside-components-us-east-1-{ACCOUNT}" in result.stdout
    assert f"skipped          city.roadside.Aggregator {VERSION}" in result.stdout
    assert f"would publish    city.roadside.SensorIngest {VERSION} (sensor_ingest.zip" in result.stdout
    assert f"would publish    city.roadside.Suite {VERSION} (no artifact)" in result.stdout
    assert account.changes == before


def test_version_is_found_on_the_last_page(publish: Run, account: GreengrassEndpoint) -> None:
    for version in (VERSION, "9.0.1", "9.0.2", "9.0.3", "9.0.4"):
        account.add_version({"ComponentName": "city.roadside.Suite", "ComponentVersion": version, "Manifests": []})
    result = publish(build.SUITE, "--dry-run")
    assert f"skipped          city.roadside.Suite {VERSION}" in result.stdout


def test_version_whose_recipe_is_not_told_is_skipped_with_a_word(
    publish: Run, account: GreengrassEndpoint, stand_in: str
) -> None:
    assert publish("aggregator", gdk=stand_in).returncode == 0
    account.tells_recipes = False
    result = publish("aggregator", gdk=stand_in)
    assert result.returncode == 0
    assert f"skipped          city.roadside.Aggregator {VERSION}" in result.stdout
    assert "exists and is not compared: cannot read the recipe of city.roadside.Aggregator" in result.stderr


def test_not_found_means_that_no_version_exists(publish: Run, account: GreengrassEndpoint) -> None:
    account.answers_not_found = True
    result = publish(build.SUITE, "--dry-run")
    assert f"would publish    city.roadside.Suite {VERSION}" in result.stdout, result.stderr


def test_dry_run_without_credentials_shows_the_plan_and_says_what_it_could_not_ask(publish: Run) -> None:
    result = publish("--dry-run", user="")
    assert result.returncode == 0
    assert result.stdout.count("would publish") == len(build.LAYERS)
    assert "there are no AWS credentials here; set AWS_PROFILE" in result.stderr
    assert "supposes an account that has nothing of it" in result.stderr


@pytest.mark.parametrize(
    ("user", "arguments", "message"),
    [
        ("", [], "there are no AWS credentials here; set AWS_PROFILE"),
        ("AKIDEXPIRED", [], "AWS does not accept the credentials (InvalidClientTokenId); sign in again"),
        (ADMINISTRATOR, ["--region", "mars-1"], "AWS has no such region; name another with --region"),
    ],
)
def test_missing_precondition_is_told_with_what_to_do(
    publish: Run, account: GreengrassEndpoint, stand_in: str, user: str, arguments: list[str], message: str
) -> None:
    result = publish(*arguments, gdk=stand_in, user=user)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr
    assert not account.changes


def test_absent_gdk_is_told_with_how_to_install_it(publish: Run) -> None:
    result = publish()
    assert result.returncode == 2
    assert "there is no gdk on PATH; install it" in result.stderr


def test_absent_region_is_told(publish: Run, checkout: Path) -> None:
    config = json.loads((checkout / "gdk-config.json").read_text())
    config["component"]["city.roadside.Suite"]["publish"]["region"] = ""
    (checkout / "gdk-config.json").write_text(json.dumps(config))
    result = publish(build.SUITE, "--dry-run")
    assert result.returncode == 2
    assert "no region is named" in result.stderr


def test_endpoint_that_does_not_answer_is_told(publish: Run, account: GreengrassEndpoint, stand_in: str) -> None:
    account.shutdown()
    account.server_close()
    result = publish(gdk=stand_in)
    assert result.returncode == 2
    assert "check the network and --region" in result.stderr


def test_absent_boto3_is_told(checkout: Path) -> None:
    script = str(checkout / "components" / "publish.py")
    result = subprocess.run([sys.executable, "-IS", script], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "cannot publish: boto3 is missing" in result.stderr


def test_unknown_component_is_refused(publish: Run) -> None:
    result = publish("aggregatr", "--dry-run")
    assert result.returncode == 1
    assert "aggregatr: no such component; there are aggregator" in result.stderr
