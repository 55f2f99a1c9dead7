# SPDX-License-Identifier: Apache-2.0
"""The pools of a back end: what the driver gives to each operation."""

from collections.abc import Iterable
import dataclasses
import logging
import os
from typing import Any

from cinder import objects
from cinder.volume import volume_utils
from oslo_config import cfg

from cinder_lvm_driver import devices
from cinder_lvm_driver import errors
from cinder_lvm_driver import health
from cinder_lvm_driver import layouts
from cinder_lvm_driver.layouts import base as layouts_base
from cinder_lvm_driver.layouts import revert
from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import command as lvm_command
from cinder_lvm_driver.lvm import record
from cinder_lvm_driver import options
from cinder_lvm_driver.privileged import commands
from cinder_lvm_driver import process
from cinder_lvm_driver.targets import base as targets_base
from cinder_lvm_driver.targets import this_node
from cinder_lvm_driver import wiping
from cinder_lvm_driver import workarounds

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Backend:
    """A pool: a VG of this node, and all that serves volumes from it.

    :ivar writer: copies to and wipes block devices
    :ivar remover: removes LVs, and wipes thick ones first
    :ivar layout: lays out new LVs
    :ivar reverts: reverts LVs to their snapshots
    :ivar target: serves LVs to hosts
    :ivar this_node: recognizes hosts that open the devices of LVs themselves;
        None if none may
    :ivar watch: compares the state of the VG with that of the last stats
    """

    settings: options.Settings
    hostname: str
    runner: process.Runner
    lvm_version: tuple[int, ...]
    vg: lvm.LVM
    writer: devices.DeviceWriter
    remover: wiping.Remover
    layout: layouts_base.Layout
    reverts: revert.Reverts
    target: targets_base.Target
    this_node: this_node.ThisNode | None
    watch: health.Watch
    workarounds: workarounds.Workarounds

    def open_vg(self, vg_name: str) -> lvm.LVM:
        """Return the handle of another VG of this node."""
        return _open_vg(vg_name, self.settings, self.runner,
                        self.lvm_version)


class Pools(tuple[Backend, ...]):
    """The pools of a back end; the first one is for what names no pool."""

    def of(self, thing: objects.Volume | objects.Snapshot) -> Backend:
        """Return the pool of a volume or snapshot.

        :raises errors.ConfigurationError: cinder.conf no longer has it
        """
        if len(self) == 1:
            return self[0]
        name = volume_utils.extract_host(thing.host, 'pool')
        found = self.named(name)
        if found is None:
            raise errors.ConfigurationError(
                f'{thing.id} is in pool {name}, which lvm_pool of back end '
                f'{self[0].settings.backend_name} does not list: add the pool '
                f'there')
        return found

    def named(self, name: str | None) -> Backend | None:
        """Return the pool of a name; None if there is none."""
        return next((each for each in self
                     if each.settings.pool_name == name), None)

    def holding(self, lv_name: str) -> Backend:
        """Return a pool with an LV of a name in its VG; the first for none."""
        return next((each for each in self.one_per_vg()
                     if each.vg.find_volume(lv_name)), self[0])

    def with_own(self, things: Iterable[Any]) -> \
            Iterable[tuple[Backend, list[Any]]]:
        """Return the pools with what they hold; log what has no pool.

        :param things: volumes, or snapshots
        """
        found: dict[str, tuple[Backend, list[Any]]] = {
            pool.settings.pool_name: (pool, []) for pool in self}
        for thing in things:
            try:
                name = self.of(thing).settings.pool_name
            except errors.ConfigurationError as exc:
                LOG.error('Volume %s cannot be served: %s', thing.id, exc)
                continue
            found[name][1].append(thing)
        return found.values()

    def one_per_vg(self) -> Iterable[Backend]:
        """Return a pool of each VG: several pools can share one."""
        return {each.vg.vg_name: each for each in reversed(self)}.values()


def build(*, pools: Iterable[options.Settings], hostname: str,
          runner: process.RootwrapRunner, target: targets_base.Target,
          vg: lvm.LVM | None) -> Pools:
    """Open the VGs and choose the layouts; changes nothing on the node.

    :param vg: the VG to use in place of the configured one
    :raises errors.ConfigurationError: LVM is not installed, or an option has
        an unusable value
    :raises lvm.LVMError: LVM failed to report the LVs, which ``lvm_type =
        auto`` depends on
    """
    pools = list(pools)
    system_dir = pools[0].system_dir
    if not commands.is_configuration_of_root(system_dir):
        raise errors.ConfigurationError(
            f'Another user than root can change LVM\'s configuration in '
            f'{system_dir}, where option lvm_conf_file has it, and root runs '
            f'programs that it names: run chown root and chmod go-w for '
            f'{system_dir}, its lvm.conf and the directories above')
    try:
        version = lvm_command.installed_version(runner)
        runner.start_daemon(lvm_command.probe(system_dir))
    except process.CommandNotFound as exc:
        raise errors.ConfigurationError(
            f'LVM is not installed: {exc}') from exc
    node = this_node.ThisNode.ask() if pools[0].local_attach else None
    writer = devices.DeviceWriter(pools[0], runner)
    opened: dict[str, tuple[lvm.LVM, wiping.Remover, revert.Reverts]] = {}
    built = []
    for settings in pools:
        if settings.volume_group not in opened:
            found = vg or _open_vg(settings.volume_group, settings, runner,
                                   version)
            opened[settings.volume_group] = (
                found, wiping.Remover(found, writer), revert.Reverts(found))
        found, remover, reverts = opened[settings.volume_group]
        built.append(Backend(
            settings=settings, hostname=hostname, runner=runner,
            lvm_version=version, vg=found, writer=writer, remover=remover,
            layout=layouts.load(settings.lvm_type, found, writer,
                                remover.remove, settings.lvm_mirrors,
                                settings.lvm_stripes),
            reverts=reverts, target=target, this_node=node,
            watch=health.Watch(settings.pool_name,
                               settings.autoextend_policy),
            workarounds=workarounds.Workarounds()))
    return Pools(built)


def _open_vg(vg_name: str, settings: options.Settings,
             runner: process.Runner, version: tuple[int, ...]) -> lvm.LVM:
    return lvm.LVM(vg_name, runner, version=version,
                   system_dir=settings.system_dir,
                   report_timeout=settings.report_timeout,
                   rules=lvm_command.device_rules(runner,
                                                  settings.system_dir),
                   kept=record.Record(os.path.join(
                       cfg.CONF.state_path, 'lvm-driver',
                       f'{vg_name}.json')),
                   pool_limits=settings.pool_limits)
