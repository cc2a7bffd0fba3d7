"""The hub: publish and subscribe over one log, by positions."""

from .body import StreamReport
from .fanout import FanOut
from .hub import Beginning, Hub, HubStatistics, Published
from .outlet import Outlet
from .reader import Reader
from .settings import HubSettings, StreamSettings
from .start import Start
from .subscription import Subscription

__all__ = [
    "Beginning",
    "FanOut",
    "Hub",
    "HubSettings",
    "HubStatistics",
    "Outlet",
    "Published",
    "Reader",
    "Start",
    "StreamReport",
    "StreamSettings",
    "Subscription",
]
