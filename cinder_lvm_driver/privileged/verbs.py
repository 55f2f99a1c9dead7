# SPDX-License-Identifier: Apache-2.0
"""What makes a function a verb, which the privileged daemon runs.

oslo.privsep sends plain values only (``oslo_privsep.comm``, msgpack). Verbs
declared with ``entrypoint`` also take and return instances of the classes
declared with ``value``; lists arrive as tuples.
"""

from collections.abc import Callable, Mapping
import dataclasses
import functools
from typing import Any, dataclass_transform, ParamSpec, TypeVar

from oslo_privsep import capabilities
from oslo_privsep import priv_context

from cinder_lvm_driver import naming

_Value = TypeVar('_Value')
_Arguments = ParamSpec('_Arguments')
_Reply = TypeVar('_Reply')


class _Context(priv_context.PrivContext):  # type: ignore[misc]
    """A context whose daemon takes no configuration from its user."""

    def helper_command(self, sockpath: str) -> list[str]:
        """Return the command that starts the daemon.

        privsep-helper would read cinder.conf, and a user that can write that
        file could have it run any code as root (``log_config_append``).
        """
        command: list[str] = super().helper_command(sockpath)
        if self.conf.helper_command:
            return command
        prefix = command[:command.index('privsep-helper')]
        return [*prefix, naming.ROOT_PROGRAM, 'verbs', sockpath]


context = _Context(
    __package__,
    cfg_section='cinder_lvm_driver_privileged',
    pypath=f'{__name__}.context',
    capabilities=[
        # The kernel asks for it at CHAP names and secrets
        # (drivers/target/iscsi/iscsi_target_configfs.c).
        capabilities.CAP_SYS_ADMIN,
        # A portal on a port below 1024, such as iSCSI's own 860.
        capabilities.CAP_NET_BIND_SERVICE,
        # cinder.conf, which may be readable for its owner only.
        capabilities.CAP_DAC_READ_SEARCH,
    ])

_classes: dict[str, type] = {}
_CLASS = '__class__'
# The first argument of a verb that the daemon is asked to run.
_PACKED = '__packed__'


@dataclass_transform(frozen_default=True,
                     field_specifiers=(dataclasses.field,))
def value(cls: type[_Value]) -> type[_Value]:
    """Make a class a frozen dataclass that verbs can take and return."""
    _classes[_name(cls)] = cls
    return dataclasses.dataclass(frozen=True)(cls)


def entrypoint(verb: Callable[_Arguments, _Reply],
               ) -> Callable[_Arguments, _Reply]:
    """Make a function a verb: the service calls it, the daemon runs it.

    It runs in this process if that is the daemon, or if a program that runs
    as root has disabled the daemon (``PrivContext.set_client_mode``).
    """
    send = context.entrypoint(verb)

    @functools.wraps(verb)
    def call(*args: Any, **kwargs: Any) -> Any:
        if context.client_mode:
            return _unpack(send(_PACKED, _pack(args), _pack(kwargs)))
        if args[:1] == (_PACKED,):
            return _pack(verb(*_unpack(args[1]), **_unpack(args[2])))
        return verb(*args, **kwargs)

    # The daemon runs only functions that have oslo.privsep's own attribute.
    functools.update_wrapper(call, send, assigned=())
    return call


def _name(cls: type) -> str:
    return f'{cls.__module__}.{cls.__qualname__}'


def _pack(item: Any) -> Any:
    """Return an item with plain values in place of instances."""
    if _name(type(item)) in _classes:
        return {_CLASS: _name(type(item)),
                **{field.name: _pack(getattr(item, field.name))
                   for field in dataclasses.fields(item)}}
    if isinstance(item, Mapping):
        return {key: _pack(each) for key, each in item.items()}
    if isinstance(item, (list, tuple)):
        return tuple(map(_pack, item))
    return item


def _unpack(item: Any) -> Any:
    """Return an item with instances in place of plain values."""
    if isinstance(item, tuple):
        return tuple(map(_unpack, item))
    if isinstance(item, Mapping):
        fields = {key: _unpack(each) for key, each in item.items()}
        name = fields.pop(_CLASS, None)
        return fields if name is None else _classes[name](**fields)
    return item
