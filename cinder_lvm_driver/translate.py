# SPDX-License-Identifier: Apache-2.0
"""Our errors as the exceptions of Cinder's contract: one table."""

from collections.abc import Callable
import functools
import inspect
import logging
from typing import Any, Literal, ParamSpec, TypeVar

from cinder import exception

from cinder_lvm_driver import errors
from cinder_lvm_driver import lvm
from cinder_lvm_driver.targets import errors as target_errors
from cinder_lvm_driver.targets import node

LOG = logging.getLogger(__name__)

_P = ParamSpec('_P')
_R = TypeVar('_R')
Busy = Literal['volume', 'snapshot']


def cinder_errors(busy: Busy | None = None) -> \
        Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Have a verb of the driver raise Cinder's exceptions, not ours.

    The decorated verb raises:

    - ``InvalidConnectorException`` if the connector lacks what the target
      needs;
    - ``VolumeIsBusy`` or ``SnapshotIsBusy`` if an LV is in use and ``busy``
      is given: Cinder then keeps the status that the object had;
    - ``VolumeBackendAPIException`` for every other error.

    :param busy: the argument of the verb that is busy if an LV is in use
    """
    def decorate(verb: Callable[_P, _R]) -> Callable[_P, _R]:
        signature = inspect.signature(verb)

        @functools.wraps(verb)
        def translated(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            try:
                return verb(*args, **kwargs)
            except (errors.DriverError, *node.DAEMON_FAILURES) as exc:
                LOG.debug('%s failed', verb.__name__, exc_info=True)
                # Not 'from exc': the manager would log the whole chain.
                if busy is not None and isinstance(exc,
                                                   lvm.LogicalVolumeInUse):
                    thing = signature.bind(*args, **kwargs).arguments[busy]
                    raise _busy(busy, thing, exc) from None
                raise _translated(exc) from None
        return translated
    return decorate


def _translated(error: Exception) -> Exception:
    """Return Cinder's exception, with our text only."""
    translated: Exception
    if isinstance(error, target_errors.InvalidConnector):
        translated = exception.InvalidConnectorException(
            missing=error.missing)
    else:
        translated = exception.VolumeBackendAPIException(str(error))
    return translated


def _busy(kind: Busy, thing: Any, error: lvm.LogicalVolumeInUse) -> Exception:
    """Return Cinder's exception for a busy volume or snapshot, and log it.

    The manager logs no reason, and the default texts of these exceptions
    know only one.
    """
    reason = f'{kind.capitalize()} {thing.name} is busy: {error}'
    LOG.error('%s', reason)
    busy: Exception = (
        exception.SnapshotIsBusy(reason, snapshot_name=thing.name)
        if kind == 'snapshot' else
        exception.VolumeIsBusy(reason, volume_name=thing.name))
    return busy
