# SPDX-License-Identifier: Apache-2.0
"""One cloud: settings, folder, processes and passwords."""

from collections.abc import Callable
import pathlib
import sys
from typing import Self

from cloud_lib import errors
from cloud_lib import programs
from openstack_lib import passwords
from openstack_lib import services
from openstack_lib import settings

# Makes Cinder 29 and later run with native threads instead of eventlet.
NATIVE_THREADS = 'OS_CINDER_DISABLE_EVENTLET_PATCHING'


class Cloud:
    """What all parts of a cloud need.

    :ivar venv: the virtual environment of the services
    :ivar say: prints a line of progress
    """

    def __init__(self, wanted: settings.Settings, places: settings.Places,
                 venv: str, say: Callable[[str], None]) -> None:
        self.settings = wanted
        self.places = places
        self.venv = venv
        self.say = say
        self.services = services.Services(places)
        self.passwords = passwords.ensure(places.passwords)

    @classmethod
    def read(cls, folder: str, say: Callable[[str], None] = print) -> Self:
        """Return the cloud in a folder, for a program in its environment."""
        places = settings.Places(folder)
        return cls(settings.Settings.read(places.settings), places,
                   sys.prefix, say)


def concurrency(wanted: settings.Settings, venv: str) -> dict[str, str]:
    """Return the variables that choose Cinder's concurrency model.

    :raises errors.CloudError: the release supports eventlet only
    """
    if wanted.concurrency == 'eventlet':
        return {}
    path = pathlib.Path(programs.site_packages(venv),
                        'cinder/monkey_patch.py')
    if not path.exists() or NATIVE_THREADS not in path.read_text():
        raise errors.CloudError(
            'this release of Cinder supports eventlet only; omit '
            '--concurrency-of-cinder or choose another --cinder')
    return {NATIVE_THREADS: 'true'}
