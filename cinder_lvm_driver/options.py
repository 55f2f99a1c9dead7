# SPDX-License-Identifier: Apache-2.0
"""The options of a back end, and the settings that are read from them.

Options of the in-tree driver are used as its own objects. Cinder loads that
module too, and registering a second definition fails if one word of its help
differs.
"""

from collections.abc import Mapping
import dataclasses
import logging
import os
import re
from typing import Any

from cinder import objects
from cinder.volume import configuration as cinder_configuration
from cinder.volume import driver as cinder_driver
from oslo_config import cfg
from oslo_config import types

from cinder_lvm_driver import errors
from cinder_lvm_driver import layouts
from cinder_lvm_driver import lvm
from cinder_lvm_driver import targets

# The in-tree driver needs Cinder's objects in its signatures. cinder-volume
# has registered them before; oslo-config-generator has not.
objects.register_all()
from cinder.volume.drivers import lvm as in_tree  # noqa: E402

SHARED_OPTIONS = in_tree.volume_opts
OWN_OPTIONS = [
    cfg.IntOpt('lvm_report_timeout',
               default=120,
               min=1,
               help='Seconds to wait for a report of LVM (lvs, vgs). A '
                    'report that takes longer waits for a device that does '
                    'not answer; the operation that needs it then fails.'),
    cfg.IntOpt('lvm_wipe_rate',
               default=100,
               min=0,
               help='MiB per second to overwrite a deleted thick LV with, '
                    'if its disks cannot write zeroes themselves; 0 means '
                    'no limit. Has an effect only with volume_clear = '
                    'zero.'),
    cfg.IntOpt('lvm_thin_pool_autoextend_threshold',
               default=100,
               min=50,
               max=100,
               help='Fill level in percent, of data or metadata, above which '
                    'the driver extends the thin pool within its volume '
                    'group. The driver checks it when Cinder collects the '
                    'stats of the back end, once a minute by default. 100 '
                    'leaves the extension to LVM (lvm.conf).'),
    cfg.IntOpt('lvm_thin_pool_autoextend_percent',
               default=20,
               min=1,
               max=100,
               help='Percentage of its size by which the driver extends the '
                    'thin pool at a time.'),
    cfg.IntOpt('lvm_group_snapshot_limit',
               default=2000,
               min=10,
               max=20000,
               help='Milliseconds for which the driver may hold back writes '
                    'to the volumes of a group while it takes their '
                    'snapshots at one moment. If the snapshots are not '
                    'complete after this time, the writes go on and the '
                    'group snapshot fails. Has an effect only for group '
                    'types with consistent_group_snapshot_enabled.'),
    cfg.IntOpt('lvm_thin_pool_reserve_percent',
               default=0,
               min=0,
               max=90,
               help='Percentage of the data and of the metadata of the thin '
                    'pool that is kept for the volumes that exist: with less '
                    'free than that, nothing is created or extended in the '
                    'pool.'),
    cfg.BoolOpt('lvm_thin_pool_overcommit',
                default=True,
                help='Let the volumes and snapshots in the thin pool be '
                     'larger in total than the pool, as far as '
                     'max_over_subscription_ratio allows it. Otherwise '
                     'nothing is created or extended beyond the size of the '
                     'pool, and every write has its space.'),
    cfg.StrOpt('lvm_nvme_key_file',
               help='JSON file with the DH-HMAC-CHAP keys of hosts for '
                    'target_helper nvmet: an object that maps each host NQN '
                    'to its key (DHHC-1:...). The user that cinder-volume '
                    'runs as must own the file, and no other user may read '
                    'it. The driver reads it again at each attachment.'),
    cfg.BoolOpt('lvm_nvme_require_keys',
                default=False,
                help='Refuse hosts without a key in lvm_nvme_key_file. '
                     'Otherwise these hosts connect without '
                     'authentication.'),
    cfg.BoolOpt('lvm_local_attach',
                default=False,
                help='Let hosts on this node open the devices of volumes, '
                     'without a target. A host is on this node if its host '
                     'name, the UUID of its system, and its initiator name '
                     'or NQN are those of this node.'),
    cfg.MultiOpt('lvm_pool',
                 item_type=types.Dict(),
                 help='A pool of the back end: name:NAME and, separated by '
                      'commas, values of volume_group, lvm_type, lvm_mirrors '
                      'and lvm_stripes. What is left out is as the section '
                      'sets it. Repeat the option for each pool. Without it, '
                      'the back end is one pool.'),
    cfg.IntOpt('lvm_stripes',
               default=0,
               min=0,
               max=64,
               help='Number of PVs that the data of each LV is spread over, '
                    'for the values of lvm_type that stripe. 0 means the '
                    'least number.'),
]
DEFAULT_SYSTEM_DIR = '/etc/lvm'
DEFAULT_BLOCK_SIZE = '1M'
_BLOCK_SIZE = re.compile('([1-9][0-9]*)([KMG]?)')
_UNITS = {'': 1, 'K': 2 ** 10, 'M': 2 ** 20, 'G': 2 ** 30}
# Direct I/O works on every disk in multiples of this size.
_SECTOR_BYTES = 4096
# The options of ionice(1) that the rootwrap filters allow.
_IONICE = re.compile('-c ?([0-3])(?: -n ?([0-7]))?')
# A pool is part of the host of a volume: HOST@BACKEND#POOL.
_POOL_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]*')
_POOL_NUMBERS = ('lvm_mirrors', 'lvm_stripes')
_POOL_KEYS = ('volume_group', 'lvm_type', *_POOL_NUMBERS)
LOG = logging.getLogger(__name__)

cfg.CONF.register_opts(OWN_OPTIONS,
                       group=cinder_configuration.SHARED_CONF_GROUP)


def offer_registered() -> None:
    """Let Cinder's options take the layouts and target helpers of this tree.

    The option objects stay Cinder's own, with its help and default.
    """
    for name, values, owner in (
            ('lvm_type', layouts.REGISTRY, in_tree.volume_opts),
            ('target_helper', targets.MAPPING, cinder_driver.volume_opts)):
        option = next(each for each in owner if each.name == name)
        for value in values:
            option.type.choices.setdefault(value, None)


offer_registered()


def driver_options() -> list[cfg.Opt]:
    """Return all options of a back end, those of the in-tree driver too.

    Cinder's releases differ in which options of the base driver it returns.
    """
    return [*in_tree.LVMVolumeDriver.get_driver_options(), *OWN_OPTIONS]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return our own options, for oslo-config-generator."""
    return [(cinder_configuration.SHARED_CONF_GROUP, OWN_OPTIONS)]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The values of the options of a pool in cinder.conf.

    :ivar pool_name: the name of the back end, if that is one pool
    :ivar is_listed: whether option lvm_pool lists the pool
    :ivar system_dir: the directory of LVM's configuration
    :ivar report_timeout: in seconds
    :ivar autoextend_policy: None leaves the extension of thin pools to LVM
    :ivar group_snapshot_limit: in milliseconds
    :ivar volume_clear_size: MiB to wipe at the start of an LV; 0 means all
    :ivar wipe_rate: in MiB per second; 0 means no limit
    """

    backend_name: str
    pool_name: str
    volume_group: str
    lvm_type: str
    lvm_mirrors: int
    lvm_stripes: int
    system_dir: str
    report_timeout: int
    autoextend_policy: lvm.AutoextendPolicy | None
    group_snapshot_limit: int
    pool_limits: lvm.PoolLimits
    target_helper: str
    share_target: bool
    secondary_addresses: tuple[str, ...]
    local_attach: bool
    volume_clear: str
    volume_clear_size: int
    volume_clear_ionice: str | None
    wipe_rate: int
    dd_blocksize: str
    reserved_percentage: int
    max_over_subscription_ratio: str
    is_listed: bool = False

    @classmethod
    def read(cls, configuration: cinder_configuration.Configuration) -> \
            'Settings':
        """Read a back end's section of cinder.conf.

        :raises errors.ConfigurationError: a value cannot be used; the
            message names it and its option
        :raises oslo_config.cfg.ConfigFileValueError: a value is not among
            the choices of its option; the message names both
        """
        get = configuration.safe_get
        backend_name = get('volume_backend_name') or 'LVM'
        return cls(
            backend_name=backend_name,
            pool_name=backend_name,
            volume_group=get('volume_group'),
            lvm_type=get('lvm_type'),
            lvm_mirrors=get('lvm_mirrors'),
            lvm_stripes=get('lvm_stripes'),
            system_dir=_system_dir(get('lvm_conf_file')),
            report_timeout=get('lvm_report_timeout'),
            autoextend_policy=_autoextend_policy(
                get('lvm_thin_pool_autoextend_threshold'),
                get('lvm_thin_pool_autoextend_percent')),
            group_snapshot_limit=get('lvm_group_snapshot_limit'),
            pool_limits=lvm.PoolLimits(
                reserve_percent=get('lvm_thin_pool_reserve_percent'),
                overcommit=get('lvm_thin_pool_overcommit')),
            target_helper=get('target_helper'),
            share_target=get('lvm_share_target'),
            secondary_addresses=tuple(get('target_secondary_ip_addresses')),
            local_attach=get('lvm_local_attach'),
            volume_clear=get('volume_clear'),
            volume_clear_size=get('volume_clear_size'),
            volume_clear_ionice=_ionice(get('volume_clear_ionice')),
            wipe_rate=get('lvm_wipe_rate'),
            dd_blocksize=_block_size(get('volume_dd_blocksize')),
            reserved_percentage=get('reserved_percentage'),
            max_over_subscription_ratio=(
                get('max_over_subscription_ratio')
                if get('lvm_thin_pool_overcommit') else '1.0'))


def read_pools(configuration: cinder_configuration.Configuration,
               settings: Settings) -> list[Settings]:
    """Read the pools of a back end; without any, it is one pool itself.

    :param settings: of the back end
    :raises errors.ConfigurationError: a value of lvm_pool cannot be used
    """
    pools = [_pool(values, settings)
             for values in configuration.safe_get('lvm_pool') or ()]
    names = [pool.pool_name for pool in pools]
    for name in names:
        if names.count(name) > 1:
            raise errors.ConfigurationError(
                f'Option lvm_pool has two pools of name {name}: give each '
                f'pool a name of its own')
    return pools or [settings]


def _pool(values: Mapping[str, str], settings: Settings) -> Settings:
    changes: dict[str, Any] = dict(values)
    name = changes.pop('name', '')
    if not _POOL_NAME.fullmatch(name):
        raise errors.ConfigurationError(
            f'Option lvm_pool names a pool {name!r}: set name: to letters, '
            f'digits, and any of . _ -')
    for key, value in changes.items():
        if key not in _POOL_KEYS:
            raise errors.ConfigurationError(
                f'Option lvm_pool sets {key} for pool {name}: use only name, '
                + ', '.join(_POOL_KEYS))
        if key in _POOL_NUMBERS:
            if not value.isdecimal():
                raise errors.ConfigurationError(
                    f'Option lvm_pool sets {key} to {value!r} for pool '
                    f'{name}: set it to a number')
            changes[key] = int(value)
    return dataclasses.replace(settings, pool_name=name, is_listed=True,
                               **changes)


def _system_dir(conf_file: str) -> str:
    """Return the directory of an lvm.conf, as the in-tree driver does.

    The word None, or a file that does not exist, mean LVM's own directory.
    """
    if conf_file.lower() != 'none' and os.path.isfile(conf_file):
        return os.path.dirname(conf_file)
    return DEFAULT_SYSTEM_DIR


def _autoextend_policy(threshold_percent: int,
                       percent: int) -> lvm.AutoextendPolicy | None:
    if threshold_percent == 100:
        return None
    return lvm.AutoextendPolicy(threshold_percent=threshold_percent,
                                percent=percent)


def _block_size(text: str) -> str:
    """Return the block size for dd: the default for an unusable value."""
    match = _BLOCK_SIZE.fullmatch(text)
    if match and int(match[1]) * _UNITS[match[2]] % _SECTOR_BYTES == 0:
        return text
    LOG.warning("volume_dd_blocksize is '%s', which is no multiple of 4K. "
                'Set it to a multiple, such as 512K; copies use %s instead',
                text, DEFAULT_BLOCK_SIZE)
    return DEFAULT_BLOCK_SIZE


def _ionice(text: str | None) -> str | None:
    """Return the options for ionice(1) as the rootwrap filters spell them.

    :raises errors.ConfigurationError: the filters do not allow them
    """
    if not text:
        return None
    match = _IONICE.fullmatch(text.strip())
    if match is None:
        raise errors.ConfigurationError(
            f"volume_clear_ionice is '{text}'. Set it to -c3 or, for example, "
            '-c2 -n7, with a class from 0 to 3 and a priority from 0 to 7')
    return f'-c{match[1]}' + (f' -n{match[2]}' if match[2] else '')
