# SPDX-License-Identifier: Apache-2.0
"""Settings of lvm.conf(5) with which a back end does not work well."""

import logging
import os

from cinder_lvm_driver.lvm import command
from cinder_lvm_driver.lvm import errors
from cinder_lvm_driver import process

LOG = logging.getLogger(__name__)


def check(runner: process.Runner, system_dir: str, vg_name: str) -> None:
    """Check the settings; log those that only make LVM slow or unsafe.

    Runs one command, which needs no root.

    :param system_dir: the directory of lvm.conf
    :raises errors.InvalidRequest: LVM cannot change or activate LVs, or
        cannot read its configuration
    """
    try:
        found = command.settings(runner, system_dir, 'activation', 'global')
    except process.CommandFailed as exc:
        raise errors.InvalidRequest(
            f'LVM cannot read {system_dir}/lvm.conf: {exc}. Correct the '
            f'file; lvmconfig --validate checks it') from exc
    if found.get('metadata_read_only') == '1':
        raise errors.InvalidRequest(
            f'LVM changes nothing, because global/metadata_read_only is 1 in '
            f'{system_dir}/lvm.conf: set it to 0')
    _check_volume_list(found.get('volume_list'), system_dir, vg_name)
    for name in 'udev_sync', 'udev_rules':
        if found.get(name) == '0':
            LOG.warning('activation/%s is 0 in %s/lvm.conf, so that LVM does '
                        'not wait for the nodes of devices below /dev: set '
                        'it to 1', name, system_dir)
    checker = found.get('thin_check_executable', '').strip('"')
    if checker and not os.path.exists(checker):
        LOG.warning('LVM cannot check thin pools before it activates them, '
                    'because there is no %s: install '
                    'thin-provisioning-tools', checker)


def _check_volume_list(value: str | None, system_dir: str,
                       vg_name: str) -> None:
    """Check that LVM may activate the LVs of a VG.

    Tags, which begin with @, may allow it too.
    """
    if value is None or '"@' in value or f'"{vg_name}"' in value:
        return
    raise errors.InvalidRequest(
        f'LVM activates no LV of VG {vg_name}, because '
        f'activation/volume_list in {system_dir}/lvm.conf does not name it: '
        f'add "{vg_name}"')
