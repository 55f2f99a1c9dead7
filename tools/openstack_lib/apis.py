# SPDX-License-Identifier: Apache-2.0
"""The services' web applications, as gunicorn asks for them.

Each function is called in a worker. The services read their configuration
when they are imported, from where the environment or the command line says:
the command line must not be gunicorn's then.
"""

import os
import sys
from typing import Any


def _etc(name: str) -> str:
    return os.path.join(os.environ['OPENSTACK_ETC'], name)


def keystone() -> Any:
    """Return the identity service."""
    os.environ['OS_KEYSTONE_CONFIG_DIR'] = _etc('keystone')
    sys.argv = ['keystone']
    from keystone.wsgi import api
    return api.application


def glance() -> Any:
    """Return the image service."""
    os.environ['OS_GLANCE_CONFIG_DIR'] = _etc('glance')
    sys.argv = ['glance-api']
    from glance.wsgi import api
    return api.application


def cinder() -> Any:
    """Return the volume service."""
    sys.argv = ['cinder-api', '--config-file', _etc('cinder/cinder.conf')]
    from cinder.wsgi import api
    return api.application
