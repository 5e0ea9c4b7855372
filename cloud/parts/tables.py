"""Where results stay: every window, the sensors of every few minutes, the state of every segment, every alert."""

from collections.abc import Sequence

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from cloud.capacity import windows_table
from cloud.capacity.city import City
from cloud.config import Config

STRING = dynamodb.AttributeType.STRING
NUMBER = dynamodb.AttributeType.NUMBER


class Tables(Construct):
    """The tables, encrypted and recoverable to any second of the last 35 days.

    All are on demand, but for the one of windows where that is configured.

    Attributes
    ----------
    windows : key g (gateway) and w (window start and epoch); attribute names are short because they are billed
    sensors : key g (gateway) and s (interval start, epoch and part)
    segments : key segment (number); index ByLocation (district, segment), and ByCongestion (band, congestion_level)
        of those that are congested
    hours : key h and k; which hours got windows since they were rolled up, and from which gateways
    alerts : key event_id; index ByDay (day, occurred_ms), and Open (open, started_ms) of what goes on
    gateways : key gateway; who they are, their last signs of life, and what the sweep remembers of them
    """

    def __init__(self, scope: Construct, construct_id: str, *, config: Config) -> None:
        super().__init__(scope, construct_id)
        self._removal_policy = RemovalPolicy.RETAIN if config.keeps_data else RemovalPolicy.DESTROY
        self._keeps_data = config.keeps_data
        # Written as steadily as a clock, and by far the most of all.
        billing = _provisioned(config.city) if config.table_mode == "provisioned" else None
        self.windows = self._table("Windows", ("g", STRING), sort_key=("w", STRING), ttl="t", billing=billing)
        self.sensors = self._table("Sensors", ("g", STRING), sort_key=("s", STRING), ttl="t")
        self.segments = self._table(
            "Segments",
            ("segment", NUMBER),
            indexes=(
                # Keys only, which never change with the traffic: the steady path pays nothing for it.
                _index("ByLocation", ("district", STRING), ("segment", NUMBER), dynamodb.ProjectionType.KEYS_ONLY),
                # Sparse: `band` stands in congested segments alone.
                _index("ByCongestion", ("band", STRING), ("congestion_level", NUMBER), dynamodb.ProjectionType.ALL),
            ),
        )
        self.hours = self._table("Hours", ("h", STRING), sort_key=("k", STRING), ttl="t")
        self.alerts = self._table(
            "Alerts",
            ("event_id", STRING),
            ttl="t",
            indexes=(
                _index("ByDay", ("day", STRING), ("occurred_ms", NUMBER), dynamodb.ProjectionType.ALL),
                # Sparse: `open` stands in what goes on alone.
                _index("Open", ("open", STRING), ("started_ms", NUMBER), dynamodb.ProjectionType.ALL),
            ),
        )
        self.gateways = self._table("Gateways", ("gateway", STRING))

    def _table(
        self,
        construct_id: str,
        partition_key: tuple[str, dynamodb.AttributeType],
        *,
        sort_key: tuple[str, dynamodb.AttributeType] | None = None,
        ttl: str | None = None,
        indexes: Sequence[dynamodb.GlobalSecondaryIndexPropsV2] = (),
        billing: dynamodb.Billing | None = None,
    ) -> dynamodb.TableV2:
        return dynamodb.TableV2(
            self,
            construct_id,
            partition_key=_attribute(partition_key),
            sort_key=_attribute(sort_key) if sort_key else None,
            time_to_live_attribute=ttl,
            global_secondary_indexes=list(indexes),
            billing=billing or dynamodb.Billing.on_demand(),
            encryption=dynamodb.TableEncryptionV2.aws_managed_key(),
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=self._keeps_data,
            removal_policy=self._removal_policy,
        )


def _provisioned(city: City) -> dynamodb.Billing:
    writes, reads = (
        dynamodb.Capacity.autoscaled(
            min_capacity=capacity.least,
            max_capacity=capacity.most,
            # For a table that was on demand before.
            seed_capacity=capacity.least,
            target_utilization_percent=round(100 * windows_table.UTILIZATION),
        )
        for capacity in (windows_table.write_capacity(city), windows_table.read_capacity(city))
    )
    return dynamodb.Billing.provisioned(read_capacity=reads, write_capacity=writes)


def _attribute(key: tuple[str, dynamodb.AttributeType]) -> dynamodb.Attribute:
    name, kind = key
    return dynamodb.Attribute(name=name, type=kind)


def _index(
    name: str,
    partition_key: tuple[str, dynamodb.AttributeType],
    sort_key: tuple[str, dynamodb.AttributeType],
    projection: dynamodb.ProjectionType,
) -> dynamodb.GlobalSecondaryIndexPropsV2:
    return dynamodb.GlobalSecondaryIndexPropsV2(
        index_name=name,
        partition_key=_attribute(partition_key),
        sort_key=_attribute(sort_key),
        projection_type=projection,
    )
