"""The one table of what types of resources mean: AWS, Google and Azure alike.

Rules read it and know no type. Names of types and fields are those of the schemas of the providers (aws 6,
azurerm 4, google 7); what an earlier major version named otherwise says so.
"""

from lockstep.guard.plans.kinds.networks import ADDRESSED, PEERINGS, REALMS, Naming
from lockstep.guard.plans.kinds.stateful import HOSTS, STATEFUL
from lockstep.guard.plans.kinds.traffic import TRAFFIC, Traffic

__all__ = ["ADDRESSED", "HOSTS", "PEERINGS", "REALMS", "STATEFUL", "TRAFFIC", "Naming", "Traffic"]
