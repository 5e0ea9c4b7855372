"""A stand-in for the AWS IoT Greengrass nucleus on one machine. Not affiliated with AWS, and not the nucleus.

It lets an unmodified component (the real process, the real AWS SDK, its real recipe) run without a device: event-stream
RPC over a Unix socket, authorization from the recipe's `accessControl` (deny by default, there is no other mode),
component configuration, local publish/subscribe, the MQTT proxy, and a supervisor for the components' processes.

Modelled, per profile (`profiles.py` holds every number):

- `classic`: the Java nucleus 2.18, from its source and documents; it was never compared with a running one. Publishes
  to IoT Core are spooled in memory (2.5 MB, 5 in flight, 100 a second) and sent later.
- `lite`: the C nucleus 2.6, from observations of it. Nothing is spooled: offline is a `ServiceError` at once, at most
  10 publishes are unacknowledged, a frame body over 10,000 bytes closes the connection, YAML scalars arrive as strings,
  a component hears its own messages, some large JSON messages silence their subscribers for good.
- both: unknown operations are refused as that nucleus refuses them.

Different on purpose: `install` is not run; `{work:path}/venv` is a link to the virtual environment given to `deploy`.
A component that does not read loses events beyond 4 MiB, where lite would stall every publisher for seconds.

Not modelled: IAM and IoT policies, TLS identity, token exchange, shadows, secrets, Stream Manager, component
dependencies and their order, rollback, operating-system users and resource limits, disk spooling, real timing.
"""

from .cloud_proxy import CloudCounters
from .component import ComponentDeployment
from .errors import LocalNucleusError, RecipeError, UnknownComponentError
from .faults import Faults
from .nucleus import LocalNucleus
from .ports import CloudLink
from .profiles import CLASSIC, LITE, Profile, ProfileName
from .supervisor import ComponentState

__all__ = [
    "CLASSIC",
    "LITE",
    "CloudCounters",
    "CloudLink",
    "ComponentDeployment",
    "ComponentState",
    "Faults",
    "LocalNucleus",
    "LocalNucleusError",
    "Profile",
    "ProfileName",
    "RecipeError",
    "UnknownComponentError",
]
