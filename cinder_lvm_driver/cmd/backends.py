# SPDX-License-Identifier: Apache-2.0
"""The back ends of this node that the driver serves, or could serve."""

import dataclasses

from cinder import exception
from cinder import utils
from cinder.volume import configuration as cinder_configuration
from cinder.volume import manager
from oslo_config import cfg

from cinder_lvm_driver import backend as backends
from cinder_lvm_driver import driver
from cinder_lvm_driver import errors
from cinder_lvm_driver import process
from cinder_lvm_driver.targets import node

# The in-tree class too: a node can be checked before the switch.
_CLASSES = ('cinder_lvm_driver.driver.LVMVolumeDriver',
            'cinder.volume.drivers.lvm.LVMVolumeDriver')
# What is wrong with a node or its configuration, and no bug.
FAILURES = (errors.DriverError, exception.CinderException, cfg.Error,
            *node.DAEMON_FAILURES)
# cinder.cmd.volume defines them, and also replaces parts of the standard
# library.
_HOST = cfg.StrOpt('backend_host')
_CLUSTER = cfg.StrOpt('cluster')


class NoBackend(errors.DriverError):
    """No section of cinder.conf is a back end of the driver."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A section of cinder.conf with the options of one back end.

    :ivar host: what Cinder calls the back end
    :ivar cluster: what Cinder calls its cluster, if it is in one
    """

    name: str
    host: str
    cluster: str | None
    configuration: cinder_configuration.Configuration

    def make_driver(self) -> driver.LVMVolumeDriver:
        """Return the driver; runs no command.

        :raises exception.CinderException: an option is wrong
        :raises cfg.Error: an option has a value that it cannot have
        """
        return driver.LVMVolumeDriver(configuration=self.configuration,
                                      host=self.host)


def open_pools(made: driver.LVMVolumeDriver) -> backends.Pools:
    """Return the pools of a driver; changes nothing on the host.

    :raises errors.DriverError: they cannot work
    """
    return backends.build(
        pools=made.pool_settings, hostname=made.hostname,
        runner=made.runner, target=made.target_driver, vg=None)


def sections(only: str | None) -> list[Section]:
    """Return the enabled back ends of the driver, and of the in-tree one.

    :param only: the name of one of them; None for all
    :raises NoBackend: there is none
    """
    enabled = [name for name in cfg.CONF.enabled_backends or () if name]
    if only is not None and only not in enabled:
        raise NoBackend(
            f'{only} is not in enabled_backends, which has '
            f'{", ".join(enabled) or "nothing"}: correct --backend, or add '
            f'it there')
    found = [section for name in enabled if only in (None, name)
             for section in _section(name)]
    if not found:
        raise NoBackend(
            f'No enabled back end has volume_driver = {_CLASSES[0]}: set it '
            f'in a section that enabled_backends names')
    return found


def _section(name: str) -> list[Section]:
    """Return a section, unless another driver serves it."""
    configuration = cinder_configuration.Configuration(
        manager.volume_backend_opts, config_group=name)
    if configuration.volume_driver not in _CLASSES:
        return []
    cfg.CONF.register_opt(_HOST, group=name)
    cfg.CONF.register_opt(_CLUSTER)
    host = cfg.CONF[name].backend_host or cfg.CONF.host
    cluster = cfg.CONF.cluster and f'{cfg.CONF.cluster}@{name}'
    return [Section(name=name, host=f'{host}@{name}', cluster=cluster,
                    configuration=configuration)]


def root_helper() -> str:
    """Return how to become root without being asked for a password."""
    helper: str = utils.get_root_helper()
    return helper.replace('sudo ', 'sudo -n ', 1)


def make_runner() -> process.RootwrapRunner:
    """Return what runs commands; starts nothing."""
    execute = utils.execute  # noqa: TID251  for the runner
    return process.RootwrapRunner(execute, root_helper())
