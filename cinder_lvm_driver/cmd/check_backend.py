# SPDX-License-Identifier: Apache-2.0
"""Checks of one back end, with the functions that its start uses."""

from collections.abc import Callable
import logging

from oslo_utils import units

from cinder_lvm_driver import backend as backends
from cinder_lvm_driver.cmd import backends as sections
from cinder_lvm_driver.cmd import database
from cinder_lvm_driver.cmd import orphans
from cinder_lvm_driver import driver
from cinder_lvm_driver import errors
from cinder_lvm_driver import health
from cinder_lvm_driver.layouts import health as layouts_health
from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import settings as lvm_settings
from cinder_lvm_driver.operations import cinder_conf
from cinder_lvm_driver.operations import startup

LOG = logging.getLogger(__name__)

# Takes the name of a check and the check; tells whether it did not fail.
Add = Callable[[str, Callable[[], str]], bool]


class _Fault(errors.DriverError):
    """What the stats report as the fault of a back end."""


class Checks:
    """The checks of one back end; each needs those before it."""

    def __init__(self, section: sections.Section) -> None:
        self._section = section
        self._driver: driver.LVMVolumeDriver
        self._pools: backends.Pools

    def run(self, add: Add, *, is_usable: bool) -> None:
        """Run the checks.

        :param is_usable: whether commands can run as root
        """
        if not add('options', self._check_options):
            return
        if not is_usable:
            add('LVM and targets', _not_checked)
            return
        add('lvm.conf', self._check_lvm_conf)
        has_vgs = add('LVs', self._open_pools)
        if has_vgs:
            for pool in self._pools:
                has_vgs &= _PoolChecks(pool).run(add)
        if add('target helper', self._check_target):
            add('portals', self._check_portals)
            if has_vgs:
                add('database', self._check_database)

    def _check_options(self) -> str:
        cinder_conf.warn(self._section.configuration)
        self._driver = self._section.make_driver()
        return f'target_helper {self._driver.settings.target_helper}'

    def _check_lvm_conf(self) -> str:
        settings = self._driver.settings
        for pool in self._driver.pool_settings:
            lvm_settings.check(self._driver.runner, settings.system_dir,
                               pool.volume_group)
        return settings.system_dir

    def _open_pools(self) -> str:
        self._pools = sections.open_pools(self._driver)
        return ', '.join(str(pool.layout) for pool in self._pools)

    def _check_target(self) -> str:
        self._driver.target_driver.check_for_setup_error()
        return self._driver.settings.target_helper

    def _check_portals(self) -> str:
        target = self._driver.target_driver
        _require_none(target.fault())
        return ', '.join(map(str, target.portals))

    def _check_database(self) -> str:
        try:
            for orphan in orphans.find(self._pools, self._section):
                LOG.warning('%s', orphan.text)
        except database.Unreachable as exc:
            LOG.warning('%s', exc)
        return ''


class _PoolChecks:
    """The checks of one pool of a back end."""

    def __init__(self, pool: backends.Backend) -> None:
        self._pool = pool
        self._picture: lvm.Picture

    def run(self, add: Add) -> bool:
        """Run the checks; return whether LVM reports the VG."""
        if not add('volume group', self._check_vg):
            return False
        add('names', self._check_names)
        add('layout', self._check_layout)
        return True

    def _check_vg(self) -> str:
        self._picture = self._pool.vg.get_picture()
        vg = self._picture.vg
        _require_none(layouts_health.vg_fault(vg))
        for complaint in layouts_health.complaints(self._picture):
            LOG.warning('%s', complaint)
        return (f'{vg.name} has {vg.size_bytes / units.Gi:.1f} GiB, '
                f'{vg.free_bytes / units.Gi:.1f} GiB free')

    def _check_names(self) -> str:
        startup.check_names(self._pool.vg.vg_name, self._pool.layout)
        return ''

    def _check_layout(self) -> str:
        layout = self._pool.layout
        preparation = layout.preparation(self._picture.lvs)
        if preparation is not None:
            return preparation
        _require_none(layout.fault(self._picture))
        health.give_advice(layout, self._pool.runner, self._pool.settings)
        return str(layout)


def _not_checked() -> str:
    LOG.warning('not checked, because no command can run as root')
    return ''


def _require_none(fault: str | None) -> None:
    if fault is not None:
        raise _Fault(fault)
