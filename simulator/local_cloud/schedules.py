"""What the local cloud calls by the clock."""

from simulator.local_cloud.local_cloud import LocalCloud


def end_schedule(cloud: LocalCloud, function: str) -> None:
    """Let nothing call the function by the clock any more; whoever wants its work invokes it."""
    scheduler = cloud.client("scheduler")
    for schedule in scheduler.list_schedules()["Schedules"]:
        if schedule["Target"]["Arn"].endswith(f":{function}"):
            scheduler.delete_schedule(Name=schedule["Name"], GroupName=schedule["GroupName"])
