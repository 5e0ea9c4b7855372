"""What goes wrong in a run: the plan that was asked for and what happens on every day, on this city's fleet."""

from simulator.city.layout import City
from simulator.faults.plan import FaultPlan, everyday, joined
from simulator.faults.schedule import FleetFacts, Schedule, schedule
from simulator.run.options import RunOptions


def planned_faults(options: RunOptions, city: City) -> Schedule:
    """Whom each fault strikes, and when. Raises FaultPlanError with everything that this fleet or run cannot do."""
    facts = FleetFacts(
        gateway_ids=tuple(gateway.gateway_id for gateway in city.gateways),
        sensor_counts=tuple(gateway.sensor_count for gateway in city.gateways),
        gateways_real=options.gateways_real,
        duration_s=options.duration_s,
    )
    return schedule(joined(FaultPlan(everyday()), options.faults), facts, options.seed)
