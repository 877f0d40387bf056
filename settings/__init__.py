"""Typed, validated settings: one file an environment, one manifest a service.

Files are parsed strictly (an unknown key is an error) into frozen values. Whatever is wrong
raises `SettingsError`, whose text is one line a problem: file, key, what is wrong, what is allowed.
"""

from settings.access import Access, Oidc
from settings.alarms import Alarms
from settings.backup import Backup
from settings.cache import Cache
from settings.canary import Canary
from settings.cdn import Cdn
from settings.database import Database
from settings.delivery import Delivery
from settings.environment import Compute, Environment, Observability
from settings.errors import SettingsError, UnknownEnvironment
from settings.loading import ROOT, environment_names, load, load_known
from settings.logs import Logs
from settings.names import SHARED_STACKS
from settings.network import Network
from settings.release import Release
from settings.scaling import Scaling
from settings.service import Service
from settings.tls import Tls
from settings.waf import Waf

__all__ = [
    "ROOT",
    "SHARED_STACKS",
    "Access",
    "Alarms",
    "Backup",
    "Cache",
    "Canary",
    "Cdn",
    "Compute",
    "Database",
    "Delivery",
    "Environment",
    "Logs",
    "Network",
    "Observability",
    "Oidc",
    "Release",
    "Scaling",
    "Service",
    "SettingsError",
    "Tls",
    "UnknownEnvironment",
    "Waf",
    "environment_names",
    "load",
    "load_known",
]
