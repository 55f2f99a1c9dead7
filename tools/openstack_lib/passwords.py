# SPDX-License-Identifier: Apache-2.0
"""The passwords: made once, kept in a file that only its owner may read."""

import dataclasses
import json
import secrets

from cloud_lib import errors
from openstack_lib import settings


@dataclasses.dataclass(frozen=True)
class Passwords:
    """What the services and users know each other by.

    :ivar agent: lets commands of this machine into the test machine
    :ivar volume_key: 32 bytes in hexadecimal, for encrypted volume types
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
    """Return the passwords of a scratch folder, which are made if needed.

    :raises errors.CloudError: another version of this has made them, or a
        crash has left less than was written
    """
    try:
        with open(path) as file:
            return Passwords(**json.load(file))
    except FileNotFoundError:
        pass
    except (TypeError, ValueError):
        # Without the error: its text may go to a log.
        raise errors.CloudError(
            'the passwords are damaged or those of another version') from None
    # Hexadecimal: they stand in URLs and configuration files as they are.
    made = Passwords(**{field.name: secrets.token_hex(32)
                        for field in dataclasses.fields(Passwords)})
    settings.write_private(path, json.dumps(dataclasses.asdict(made)))
    return made
