"""The board: what people see of the lake, sheet by sheet, whoever draws it. Pure."""

from collections.abc import Mapping
from typing import Final

from cloud.insights.visuals import Bars, Figure, HeatMap, Lines, Map, Sheet, Table

# Told apart by every common kind of colour vision: Okabe and Ito's, and ColorBrewer's YlOrBr and RdYlBu.
PALETTE: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7A7A7A")
HEAT: Final = ("#FFF7DC", "#FE9929", "#7F2704")  # low, middle, high; lightness alone tells them apart too
COLOURS: Final[Mapping[str, Mapping[str, str]]] = {
    "level": {"A": "#4575B4", "B": "#91BFDB", "C": "#D3E9F2", "D": "#FEE090", "E": "#FC8D59", "F": "#D73027"},
    "state": {"free": "#0072B2", "congested": "#D55E00", "unknown": "#A6A6A6"},
    "status": {"suspected": "#E69F00", "confirmed": "#D55E00", "cleared": "#0072B2"},
    "road_class": {"freeway": "#0072B2", "arterial": "#E69F00", "ramp": "#009E73"},
}
"""Of columns whose values mean something; the values of others take the palette's colours in turn."""


def _figure(key: str, title: str, measure: str) -> Figure:
    return Figure(key=key, title=title, query="network_by_hour", measure=measure, time="hour_start", width=3)


NETWORK: Final = Sheet(
    "network",
    "Network",
    (
        (
            _figure("distance", "Distance driven", "vehicle_km"),
            _figure("speed", "Mean speed", "mean_speed"),
            _figure("congestion", "Share of time congested", "congested_share"),
            _figure("delay", "Time lost", "delay_h"),
        ),
        (
            HeatMap(
                key="when-congested",
                title="Share of time congested, by hour and weekday",
                query="network_by_hour",
                rows="weekday_name",
                row_order="weekday",
                columns="hour_of_day",
                measure="congested_share",
                width=8,
            ),
            Bars(
                key="reliability",
                title="Travel time by district, in multiples of free flow",
                query="reliability",
                category="district",
                bars=("travel_time_index", "planning_time_index"),
                horizontal=True,
                width=4,
            ),
        ),
        (
            Lines(
                key="delay-by-day",
                title="Time lost, by day and class of road",
                query="network_by_hour",
                time="hour_start",
                grain="day",
                measure="delay_h",
                colour="road_class",
                width=6,
            ),
            Bars(
                key="level-of-service",
                title="Freeways' level of service, by hour of day",
                query="level_of_service",
                category="hour_of_day",
                bars=("share_of_hour",),
                colour="level",
                focus="F",
                in_order=True,
                width=6,
            ),
        ),
        (
            Table(
                key="worst-segments",
                title="Segments that cost most time on the latest day",
                query="worst_segments",
                columns=(
                    "rank",
                    "segment_id",
                    "district",
                    "road_class",
                    "delay_h",
                    "congested_share",
                    "mean_speed",
                    "p15_speed",
                    "p50_speed",
                    "p85_speed",
                    "free_flow_speed",
                ),
                sort="rank",
                width=12,
                height=10,
            ),
        ),
    ),
    filters=(("network_by_hour", "district"), ("network_by_hour", "road_class")),
)

NOW: Final = Sheet(
    "now",
    "Now",
    (
        (
            Map(
                key="map",
                title="Every segment as last seen",
                query="live_segments",
                latitude="latitude",
                longitude="longitude",
                colour="state",
                focus="congested",
                label="segment_id",
                measure="congestion_level",
                width=6,
                height=12,
            ),
            Lines(
                key="congestion-now",
                title="Share of time congested, last hour",
                query="live_trend",
                time="step_start",
                grain="minute",
                measure="congested_share",
                colour="road_class",
                width=6,
                height=12,
            ),
        ),
    ),
    filters=(("live_segments", "district"),),
)

INCIDENTS: Final = Sheet(
    "incidents",
    "Incidents",
    (
        (
            Table(
                key="incident-log",
                title="Incident log",
                query="incidents",
                columns=(
                    "suspected_at",
                    "segment_id",
                    "district",
                    "status",
                    "severity",
                    "duration_min",
                    "confirm_min",
                    "lowest_speed",
                ),
                sort="suspected_at",
                descending=True,
                width=8,
                height=10,
            ),
            Bars(
                key="incidents-by-district",
                title="Incidents, by district",
                query="incidents",
                category="district",
                bars=("incidents",),
                colour="status",
                horizontal=True,
                width=4,
                height=10,
            ),
        ),
    ),
    filters=(("incidents", "district"), ("incidents", "status")),
)

DATA: Final = Sheet(
    "data",
    "Sensors and data",
    (
        (
            Bars(
                key="faults",
                title="Sensors in fault, by day and kind",
                query="sensor_health",
                category="day",
                bars=("faulty_share",),
                colour="fault",
                in_order=True,
                width=6,
            ),
            Lines(
                key="missing",
                title="Time that no window covers, by day",
                query="data_quality",
                time="day",
                grain="day",
                measure="missing_share",
                width=6,
            ),
        ),
        (
            Table(
                key="worst-sensors",
                title="Sensors longest in fault, last week",
                query="worst_sensors",
                columns=("rank", "sensor", "district", "fault", "faulty_h", "faulty_share", "coverage"),
                sort="rank",
                width=6,
                height=10,
            ),
            Table(
                key="worst-gateways",
                title="Gateways with most time missing, last two weeks",
                query="data_quality",
                columns=("gateway", "district", "missing_h", "missing_share", "late_share", "rejected_readings"),
                sort="missing_h",
                descending=True,
                width=6,
                height=10,
            ),
        ),
    ),
    filters=(("data_quality", "district"),),
)

SHEETS: Final = (NETWORK, NOW, INCIDENTS, DATA)
