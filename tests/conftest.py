"""What all suites share."""

from hypothesis import HealthCheck, settings

# Machines differ in speed: a test fails for what it finds, never for how long an example took.
settings.register_profile("roadside", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("roadside")
