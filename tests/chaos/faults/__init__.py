"""All kinds of faults, by name. A family of them is a module with a tuple FAULTS."""

from tests.chaos.faults import mongodb, network, postgresql, processes, redis, scaling, source_events
from tests.chaos.faults.fault import Fault

_FAMILIES = (processes, redis, postgresql, mongodb, network, scaling, source_events)

FAULTS: dict[str, Fault] = {fault.name: fault for family in _FAMILIES for fault in family.FAULTS}
