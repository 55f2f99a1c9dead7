# SPDX-License-Identifier: Apache-2.0
"""The web applications of the services, for gunicorn.

gunicorn calls these functions in its workers. The services read their
configuration at import time. Its path comes from the environment or from
sys.argv, which must not be the command line of gunicorn.
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
