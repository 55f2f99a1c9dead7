# SPDX-License-Identifier: Apache-2.0
"""The passwords of a cloud: created once, readable by their owner only."""

import dataclasses
import json
import secrets

from cloud_lib import errors
from openstack_lib import settings


@dataclasses.dataclass(frozen=True)
class Passwords:
    """The passwords of the services and the users.

    :ivar agent: lets this machine run commands on the storage node
    :ivar volume_key: encrypts volumes, 32 bytes in hexadecimal
    """

    database: str
    bus: str
    admin: str
    demo: str
    glance: str
    cinder: str
    agent: str
    volume_key: str

    def __repr__(self) -> str:
        return 'Passwords(***)'


def ensure(path: str) -> Passwords:
    """Return the passwords in a file; create it if it does not exist.

    :raises errors.CloudError: another version of the program wrote the file,
        or a crash truncated it
    """
    try:
        with open(path) as file:
            return Passwords(**json.load(file))
    except FileNotFoundError:
        pass
    except (TypeError, ValueError):
        # Not chained: the text of the error may contain a password.
        raise errors.CloudError(
            'the passwords are damaged or were written by another version'
        ) from None
    # Hexadecimal needs no quoting in URLs and configuration files.
    created = Passwords(**{field.name: secrets.token_hex(32)
                           for field in dataclasses.fields(Passwords)})
    settings.write_private(path, json.dumps(dataclasses.asdict(created)))
    return created
