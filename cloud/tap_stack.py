"""The stack that takes windows and events from IoT Core to tables, people and systems."""

from typing import Any

from aws_cdk import CfnOutput, Stack
from constructs import Construct

from cloud import lake_tables
from cloud.config import Config
from cloud.parts.alerting import Alerting
from cloud.parts.announcing import Announcing
from cloud.parts.device_access import DeviceAccess
from cloud.parts.direct_ingest import DirectIngest
from cloud.parts.ingest import Ingest
from cloud.parts.lake import Lake
from cloud.parts.lake_delivery import LakeDelivery
from cloud.parts.observability import Observability
from cloud.parts.processing import Processing
from cloud.parts.rollup import Rollup
from cloud.parts.tables import Tables


class TrafficAnalyticsPlatformStack(Stack):
    """Roadside's cloud side.

    ```
    gateway ─> rules: windows, sensors ─> stream ─> processor ─┬─> tables: windows, sensors, segments
       ^                                             ├─> Firehose ─> lake ─> Athena
       ^                                             └─> acks ─> gateway
       └──── > rule: events ─> queue ────> alerts ───┬─> bus ─> topics (people), queue (systems), lake
                                                     ├─> table: alerts
                                                     └─> acks ─> gateway
    ```

    Attributes
    ----------
    access, ingest, tables, alerting, lake, delivery, processing, rollup, announcing, observability : its parts, which
        the other stacks build on
    """

    def __init__(self, scope: Construct, construct_id: str, *, config: Config, **kwargs: Any) -> None:
        super().__init__(scope, construct_id, **kwargs)
        self.access = access = DeviceAccess(self, "DeviceAccess")
        self.ingest = ingest = Ingest(self, "Ingest", config=config)
        self.tables = tables = Tables(self, "Tables", config=config)
        self.alerting = alerting = Alerting(self, "Alerting", keeps_data=config.keeps_data)
        alerting.tell(email=config.people_email, sms=config.people_sms)
        self.lake = lake = Lake(self, "Lake", config=config)
        self.delivery = delivery = LakeDelivery(self, "LakeDelivery", lake=lake)
        delivery.take_events(alerting.bus, alerting.dead_letters)
        self.processing = processing = Processing(
            self,
            "Processing",
            config=config,
            tables=tables,
            stream=ingest.stream,
            rows=delivery.streams,
            undelivered=ingest.undelivered,
        )
        self.rollup = rollup = Rollup(
            self, "Rollup", config=config, tables=tables, lake=lake, undelivered=ingest.undelivered
        )
        self.announcing = announcing = Announcing(
            self,
            "Announcing",
            config=config,
            tables=tables,
            bus=alerting.bus,
            parked=processing.parked,
            undelivered=ingest.undelivered,
        )
        ingest.send_events_to(announcing.events)
        ingest.send_signs_to(announcing.alerts)
        self.observability = Observability(
            self,
            "Observability",
            config=config,
            ingest=ingest,
            tables=tables,
            processing=processing,
            announcing=announcing,
            rollup=rollup,
            alerting=alerting,
            delivery=delivery,
        )

        if config.ingest == "raw":
            self._add_direct_ingest(config)

        self._output("WindowsTable", tables.windows.table_name, "One item per gateway, window and epoch")
        self._output("SensorsTable", tables.sensors.table_name, "One item per gateway, interval, epoch and part")
        self._output("SegmentsTable", tables.segments.table_name, "Current state of every segment")
        self._output("AlertsTable", tables.alerts.table_name, "Every event once, and what is wrong now")
        self._output("GatewaysTable", tables.gateways.table_name, "Every gateway and its last signs of life")
        self._output("HoursTable", tables.hours.table_name, "Which hours the rollup has to look at, and whose they are")
        self._output("WindowsStream", ingest.stream.stream_name, "Messages on their way to the processor")
        self._output("EventBus", alerting.bus.event_bus_name, "Every event of Roadside")
        self._output("AlertsTopic", alerting.people.topic_arn, "Subscribe people's e-mail here")
        self._output("UrgentAlertsTopic", alerting.phones.topic_arn, "Subscribe people's telephones here")
        self._output("OperationsTopic", self.observability.operators.topic_arn, "Subscribe operators here")
        self._output("SystemsQueueUrl", alerting.systems.queue_url, "Systems receive events here")
        self._output("AlertDeadLettersUrl", alerting.dead_letters.queue_url, "Events nobody could be told")
        self._output("ParkedQueueUrl", processing.parked.queue_url, "Messages refused for good, with the reason")
        self._output("UndeliveredQueueUrl", ingest.undelivered.queue_url, "What rules and invocations gave up on")
        self._output("ProcessorFunction", processing.processor.function_name, "Stores windows and summaries of sensors")
        self._output("GatewayEventsQueueUrl", announcing.events.queue_url, "Events on their way to the alerts function")
        self._output("AlertsFunction", announcing.alerts.function_name, "Publishes events")
        self._output("RollupFunction", rollup.function.function_name, "Rolls up hours and days, also by hand")
        rows = delivery.streams
        self._output("WindowRowsStream", rows[lake_tables.SEGMENT_WINDOWS.name].ref, "Rows of windows into the lake")
        self._output("SensorRowsStream", rows[lake_tables.SENSOR_INTERVALS.name].ref, "Rows of sensors into the lake")
        self._output("LakeBucket", lake.bucket.bucket_name, "Rows and rollups, described in the Glue database")
        self._output("LakeDatabase", lake.database_name, "Glue database of the lake")
        self._output("Workgroup", lake.workgroup.ref, "Athena workgroup with bounds and encryption")
        self._output("SweepFunction", announcing.sweep.function_name, "Finds out what is missing and who is silent")
        self._output("GatewayPolicy", access.policy.ref, "IoT policy for the certificate of every gateway")
        self._output("GatewayGroup", access.gateways.ref, "Thing group of all gateways")

    def _add_direct_ingest(self, config: Config) -> None:
        direct = DirectIngest(
            self,
            "DirectIngest",
            config=config,
            undelivered=self.ingest.undelivered,
            parked=self.processing.parked,
        )
        self._output("ReadingsTable", direct.readings.table_name, "One item per reading of a sensor without a gateway")
        self._output("ReadingsFunction", direct.function.function_name, "Stores such readings")
        self._output("SensorPolicy", direct.policy.ref, "IoT policy for the certificate of every such sensor")
        self._output("SensorGroup", direct.sensors.ref, "Thing group of all such sensors")

    def _output(self, name: str, value: str, description: str) -> None:
        CfnOutput(self, name, value=value, description=description)
