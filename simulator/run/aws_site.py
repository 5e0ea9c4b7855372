"""A stack that is deployed in an AWS account, as a run finds it: where it is, and whether it is free to be used."""

import socket
from dataclasses import dataclass
from typing import Final

from cloud.catalogue.loading import compare
from cloud.catalogue.segments import read_catalogue, write_catalogue
from cloud.deployment import Deployment, find, in_words
from simulator.city.catalogue import catalogue_of
from simulator.city.layout import City
from simulator.run.options import AwsOptions

MQTT_PORT: Final = 8883
REACH_S: Final = 5.0
_TOLD: Final = 3  # names of a list that is long


class SiteError(Exception):
    """A run cannot take place on this stack; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Site:
    """A deployed stack.

    Parameters
    ----------
    account, region : where it is
    host, port : of the MQTT broker
    """

    deployment: Deployment
    account: str
    region: str
    host: str
    port: int

    @property
    def provisioning_template(self) -> str:
        """As the fleet stack names it."""
        return f"roadside-{self.deployment.stage}"


def discover(options: AwsOptions) -> Site:
    """Find the stack of the stage in the account that the AWS_* variables name. Nothing is changed.

    Raises
    ------
    CloudError
        No credentials, no such stack, or nobody answers.
    SiteError
    """
    deployment = find(options.stage)
    with in_words():
        account = deployment.client("sts").get_caller_identity()["Account"]
        iot = deployment.client("iot")
        endpoint = options.endpoint or iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
    host, _, port = endpoint.partition(":")
    if port and not port.isdecimal():
        raise SiteError(f"--endpoint {endpoint}: give HOST, or HOST:PORT with a number")
    return Site(deployment, account, iot.meta.region_name, host, int(port or MQTT_PORT))


def reach(site: Site) -> None:
    """See that the broker's port is open. Raises SiteError."""
    try:
        with socket.create_connection((site.host, site.port), REACH_S):
            pass
    except OSError as error:
        raise SiteError(
            f"{site.host}:{site.port} does not answer ({error.strerror or error}): see that the port is open from "
            "here, or name the broker by --endpoint HOST:PORT"
        ) from error


def refuse_foreign_city(site: Site, city: City) -> None:
    """See that the stack knows no other city: a run would retire its segments and mix its figures. Raises SiteError."""
    of_segments, of_gateways = compare(read_catalogue(write_catalogue(catalogue_of(city))), site.deployment)
    foreign = [
        f"{what} {next(iter(change.key[what].values()))}"
        for what, plan in (("gateway", of_gateways), ("segment", of_segments))
        for change in (*plan.retired, *plan.updated)
    ]
    if foreign:
        others = f" and {len(foreign) - _TOLD} more" if len(foreign) > _TOLD else ""
        raise SiteError(
            f"stage {site.deployment.stage} serves another city ({', '.join(foreign[:_TOLD])}{others}), whose "
            "catalogue and figures a run would spoil: deploy a stage for runs alone, or give that city's flags"
        )
