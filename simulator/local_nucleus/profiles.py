"""The two nuclei as data: every limit and habit in which they differ, one frozen record each.

`CLASSIC` is the Java nucleus 2.18 (values read in its source and documents), `LITE` the C nucleus 2.6 (values observed
on it). Code elsewhere asks a field here, never the profile's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ProfileName = Literal["classic", "lite"]

_COMMON_OPERATIONS = frozenset(
    {
        "PublishToTopic",
        "SubscribeToTopic",
        "PublishToIoTCore",
        "SubscribeToIoTCore",
        "GetConfiguration",
        "UpdateConfiguration",
        "SubscribeToConfigurationUpdate",
        "UpdateState",
        "RestartComponent",
    }
)


@dataclass(frozen=True, slots=True)
class Profile:
    """Limits and habits of one nucleus. Sizes in bytes, times in seconds."""

    name: ProfileName
    nucleus_version: str
    operations: frozenset[str]

    restart_needs_cli: bool
    """RestartComponent is served by the component aws.greengrass.Cli, and unsupported where that is not deployed."""

    # connection
    max_frame_body_bytes: int
    max_connections: int
    max_subscriptions: int
    version_header_required: bool
    refuses_with_ack: bool
    """A refused CONNECT is answered by a CONNECT_ACK without the accept flag; else the socket just closes."""
    strict_stream_ids: bool
    tokens_are_base64: bool
    answers_ping: bool
    terminates_plain_responses: bool
    error_message_keys: tuple[str, ...]
    subscriber_buffer_bytes: int
    """Unsent bytes held for one connection before events to it are dropped (a bound of this stand-in)."""

    # local publish/subscribe
    wildcard_publish_refused: bool
    max_local_topic_chars: int | None
    echoes_own_messages: bool
    json_must_be_object: bool
    json_numbers_are_floats: bool
    json_deadly_cost: int | None
    """A JSON message that costs more than this (1 a list item, 2 a map pair) kills the subscriptions it matches."""
    json_max_items: int | None
    json_max_depth: int | None

    # cloud
    spool_bytes: int
    """0: no spool, a publish while offline fails at once."""
    window_messages: int
    window_bytes: int | None
    publishes_per_s: float
    publish_bytes_per_s: float
    """The spool's limiter; infinite where there is none."""
    max_publish_retries: int
    max_inbound_bytes: int | None

    # configuration
    yaml_scalars_are_strings: bool
    case_sensitive_keys: bool
    stale_update_is_ignored: bool
    update_needs_timestamp: bool
    new_leaf_events: int
    access_control_limit_bytes: int | None

    # recipes and processes
    manifest_runtimes: frozenset[str]
    runtime_required: bool
    directory_suffix: str
    stop_timeout_s: float
    stop_timeout_from_recipe: bool
    restart_delay_s: float
    restart_budget: int
    """Starts, the first included, within `restart_interval_s`; the failure after the last one leaves BROKEN."""
    restart_interval_s: float
    asked_restart_uses_budget: bool
    """Whether a start that RestartComponent asked for counts as well."""
    errored_state_restarts: bool


CLASSIC = Profile(
    name="classic",
    nucleus_version="2.18.2",
    operations=_COMMON_OPERATIONS | {"SubscribeToComponentUpdates", "DeferComponentUpdate"},
    restart_needs_cli=True,
    max_frame_body_bytes=16 * 1024 * 1024 + 128 * 1024,
    max_connections=1000,
    max_subscriptions=10_000,
    version_header_required=True,
    refuses_with_ack=True,
    strict_stream_ids=True,
    tokens_are_base64=False,
    answers_ping=True,
    terminates_plain_responses=True,
    error_message_keys=("message", "_message", "_service", "_errorCode"),
    subscriber_buffer_bytes=4 * 1024 * 1024,
    wildcard_publish_refused=True,
    max_local_topic_chars=None,
    echoes_own_messages=False,
    json_must_be_object=True,
    json_numbers_are_floats=True,
    json_deadly_cost=None,
    json_max_items=None,
    json_max_depth=None,
    spool_bytes=2_621_440,
    window_messages=5,
    window_bytes=None,
    publishes_per_s=100.0,
    publish_bytes_per_s=512 * 1024.0,
    max_publish_retries=100,
    max_inbound_bytes=None,
    yaml_scalars_are_strings=False,
    case_sensitive_keys=False,
    stale_update_is_ignored=False,
    update_needs_timestamp=False,
    new_leaf_events=2,
    access_control_limit_bytes=None,
    manifest_runtimes=frozenset({"*", "aws_nucleus_classic"}),
    runtime_required=False,
    directory_suffix="",
    stop_timeout_s=5.0,
    stop_timeout_from_recipe=False,
    restart_delay_s=0.0,
    restart_budget=3,
    restart_interval_s=float("inf"),
    asked_restart_uses_budget=False,
    errored_state_restarts=True,
)

LITE = Profile(
    name="lite",
    nucleus_version="2.6.0",
    operations=_COMMON_OPERATIONS,
    restart_needs_cli=False,
    max_frame_body_bytes=10_000,
    max_connections=50,
    max_subscriptions=100,
    version_header_required=False,
    refuses_with_ack=False,
    strict_stream_ids=False,
    tokens_are_base64=True,
    answers_ping=False,
    terminates_plain_responses=False,
    error_message_keys=("_message", "_errorCode"),
    subscriber_buffer_bytes=4 * 1024 * 1024,
    wildcard_publish_refused=False,
    max_local_topic_chars=256,
    echoes_own_messages=True,
    json_must_be_object=False,
    json_numbers_are_floats=False,
    json_deadly_cost=46,
    json_max_items=199,
    json_max_depth=13,
    spool_bytes=0,
    window_messages=10,
    window_bytes=15_000,
    publishes_per_s=float("inf"),
    publish_bytes_per_s=float("inf"),
    max_publish_retries=0,
    max_inbound_bytes=5_000,
    yaml_scalars_are_strings=True,
    case_sensitive_keys=True,
    stale_update_is_ignored=True,
    update_needs_timestamp=True,
    new_leaf_events=1,
    access_control_limit_bytes=4096,
    manifest_runtimes=frozenset({"*", "aws_nucleus_lite"}),
    runtime_required=True,
    directory_suffix="/",
    stop_timeout_s=120.0,
    stop_timeout_from_recipe=True,
    restart_delay_s=1.0,
    restart_budget=3,
    restart_interval_s=3600.0,
    asked_restart_uses_budget=True,
    errored_state_restarts=False,
)

PROFILES: dict[ProfileName, Profile] = {"classic": CLASSIC, "lite": LITE}
