# SPDX-License-Identifier: Apache-2.0
"""The way to the privileged daemon and back, with this process as daemon."""

from unittest import mock

import msgpack

from cinder_lvm_driver.privileged import lending
from cinder_lvm_driver.privileged import lio
from cinder_lvm_driver.privileged import nvmet
from cinder_lvm_driver.privileged import nvmet_report
from cinder_lvm_driver.privileged import tgt
from cinder_lvm_driver.privileged import verbs

# Also while a test has something else in place of one.
_VERBS = {f'{module.__name__}.{name}': found
          for module in (lending, lio, nvmet, nvmet_report, tgt)
          for name, found in vars(module).items()
          if verbs.context.is_entrypoint(found)}


class FakeChannel:
    """Sends and receives as ``oslo_privsep.daemon`` and ``comm`` do."""

    running = True

    def remote_call(self, name, args, kwargs, timeout):
        args, kwargs = sent((args, kwargs))
        try:
            with mock.patch.object(verbs.context, 'client_mode', False):
                return sent(_VERBS[name](*args, **kwargs))
        except Exception as exc:  # noqa: BLE001  any may come
            failure = type(exc)(*sent(exc.args))
        raise failure


def sent(item):
    """Return what arrives at the other end."""
    return msgpack.unpackb(msgpack.packb(item), use_list=False,
                           strict_map_key=False)


def patch():
    """Have the verbs called as in the service."""
    return mock.patch.object(verbs.context, 'channel', FakeChannel())
