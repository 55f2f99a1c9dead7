# SPDX-License-Identifier: Apache-2.0
"""Checking a back end, and completing what the last run left."""

import functools
from importlib import metadata
import logging

from cinder import context as cinder_context
from cinder import exception
from oslo_config import cfg

from cinder_lvm_driver import backend as backends
from cinder_lvm_driver import errors
from cinder_lvm_driver import health
from cinder_lvm_driver.layouts import base as layouts_base
from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import snapshot_set
from cinder_lvm_driver import naming
from cinder_lvm_driver import openers
from cinder_lvm_driver.operations import cinder_conf
from cinder_lvm_driver.operations import managing
from cinder_lvm_driver.operations import migration
from cinder_lvm_driver import options
from cinder_lvm_driver.targets import base as targets

LOG = logging.getLogger(__name__)

_SOME_ID = '00000000-0000-0000-0000-000000000000'


def check_target_options(settings: options.Settings,
                         target: targets.Target) -> None:
    """Check that the target helper can do what the options ask for.

    :raises exception.InvalidConfigurationValue: it cannot
    """
    if settings.share_target and not target.SHARED_TARGET_SUPPORT:
        raise exception.InvalidConfigurationValue(
            option='lvm_share_target', value=True)
    if settings.secondary_addresses and not target.SECONDARY_IP_SUPPORT:
        raise exception.InvalidConfigurationValue(
            option='target_secondary_ip_addresses',
            value=','.join(settings.secondary_addresses))


def start(pools: backends.Pools, driver_class: type) -> None:
    """Check all that the back end needs, and recover from a crash."""
    for backend in pools:
        _log_start(backend, driver_class)
    target = pools[0].target
    cinder_conf.warn(target.configuration)
    target.check_for_setup_error()
    for backend in pools:
        check_names(backend.vg.vg_name, backend.layout)
    for backend in pools.one_per_vg():
        _resume(backend.vg)
    for backend in pools:
        backend.layout.prepare()
    for backend in pools.one_per_vg():
        _recover(backend)
    for backend in pools:
        health.give_advice(backend.layout, backend.runner, backend.settings)


def _log_start(backend: backends.Backend, driver_class: type) -> None:
    try:
        version = metadata.version('cinder-lvm-driver')
    except metadata.PackageNotFoundError:
        version = 'from a source tree'
    name = backend.settings.backend_name
    if backend.settings.pool_name != name:
        name += f', pool {backend.settings.pool_name}'
    LOG.info('Back end %s: cinder-lvm-driver %s, class %s.%s, VG %s, LVs %s '
             '(lvm_type = %s), target_helper %s, portals %s', name, version,
             driver_class.__module__, driver_class.__qualname__,
             backend.vg.vg_name, backend.layout, backend.settings.lvm_type,
             backend.settings.target_helper,
             ', '.join(map(str, backend.target.portals)) or 'unknown')


def check_names(vg_name: str, layout: layouts_base.Layout) -> None:
    """Check that the name of the VG is short enough for its LVs.

    :raises lvm.NameTooLong: it is too long for volumes and snapshots, or for
        the thin pool
    """
    volume = cfg.CONF.volume_name_template % _SOME_ID
    snapshot = naming.snapshot_lv_name(
        cfg.CONF.snapshot_name_template % _SOME_ID)
    suffix = layout.device_suffix
    for name, own_suffix in (*layout.own_devices, (volume, suffix),
                             (snapshot, suffix)):
        lvm.check_vg_name(vg_name, name, own_suffix)
    for verb, name in (('cloned with a copy', naming.clone_source(volume)),
                       ('migrated here', naming.arriving(volume)),
                       ('reverted', naming.revert_from(volume)),
                       ('backed up from a snapshot',
                        naming.snapshot_export(snapshot))):
        try:
            lvm.check_vg_name(vg_name, name, suffix)
        except lvm.NameTooLong as exc:
            LOG.warning('No volume can be %s: %s', verb, exc)


def _resume(vg: lvm.LVM) -> None:
    """Resume the volumes and snapshots that a killed command has left.

    Their hosts wait. A suspended pool is a fault of the back end. LVs that
    are merging are left to the recovery of their reverts.
    """
    lvs = vg.get_volumes()
    errors.attempt(
        f'Devices of VG {vg.vg_name} may have tables that a killed command '
        f'has loaded', vg.discard_unfinished, lvs)
    for lv in vg.get_halted(lvs):
        if lv.is_merging:
            continue
        errors.attempt(f'LV {lv.full_name} answers no I/O', vg.resume, lv)


def _recover(backend: backends.Backend) -> None:
    """Complete or undo what the service was doing when it ended."""
    lvs = backend.vg.get_volumes()
    if snapshot_set.recover(backend.vg, lvs):
        lvs = backend.vg.get_volumes()
    backend.reverts.recover(lvs, functools.partial(
        managing.is_snapshot_of_cinder, cinder_context.get_admin_context()))
    backend.layout.recover(lvs.values())
    migration.recover(backend, lvs)
    for name, lv in lvs.items():
        # One that was set aside is skipped at activation.
        if (naming.is_orphan(name) and lv.is_thin
                and not lv.skips_activation):
            errors.attempt(f'LV {lv.full_name} is kept',
                           backend.vg.settle_orphan, lv)
        if not naming.is_left_over(name):
            continue
        # Another back end that shares the VG may need it.
        if lv.is_open:
            LOG.warning('Temporary LV %s is %s and stays. Restart '
                        'cinder-volume when it is no longer in use', name,
                        openers.describe(lv.path))
        else:
            LOG.warning('Removing temporary LV %s', name)
            errors.attempt(f'Temporary LV {name} cannot be removed; the next '
                           f'start tries again', backend.remover.remove, lv)
    backend.remover.resume(lvs)
