# SPDX-License-Identifier: Apache-2.0
"""The options of cinder.conf for nvmet, and checks of this node."""

import dataclasses
import logging
from typing import Any

from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver.privileged import nvmet
from cinder_lvm_driver.privileged import nvmet_report
from cinder_lvm_driver.privileged import validation
from cinder_lvm_driver import process
from cinder_lvm_driver.targets import dhchap
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import node

LOG = logging.getLogger(__name__)

# The name is that of cinder.volume.targets.nvmet.
LOCK = 'nvmetcli'
# target_protocol of cinder.conf -> transport of NVMe.
_TRANSPORTS = {'nvmet_tcp': 'tcp', 'nvmet_rdma': 'rdma'}
# The number of namespaces that the kernel reports for a subsystem
# (NVMET_MAX_NAMESPACES in drivers/nvme/target/nvmet.h). Higher ids work, too,
# up to the limit of nvmet_ns_id and the nvmet library.
_PROMISED_NSIDS = 1024
_LAST_NSID = 8192
_LAST_PORT_ID = 65535


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The options of target_helper nvmet.

    :ivar transport: empty if target_protocol is not one of nvmet
    :ivar share_target: serve new exports in one subsystem per host
    :ivar nsid: the namespace id in a subsystem per volume, and the lowest
        one in a subsystem per host
    :ivar info_version: nvmeof_conn_info_version, the version of the
        connection properties
    """

    target_prefix: str
    target_protocol: str
    addresses: tuple[str, ...]
    port: int
    share_target: bool
    first_port_id: int
    nsid: int
    info_version: int

    @classmethod
    def read(cls, configuration: Any) -> 'Settings':
        """Read the section of a back end in cinder.conf without checks."""
        return cls(
            target_prefix=configuration.target_prefix,
            target_protocol=configuration.target_protocol,
            addresses=(configuration.target_ip_address,
                       *(configuration.target_secondary_ip_addresses
                         or ())),
            port=configuration.target_port,
            share_target=bool(configuration.lvm_share_target),
            first_port_id=configuration.nvmet_port_id,
            nsid=configuration.nvmet_ns_id,
            info_version=configuration.nvmeof_conn_info_version)

    @property
    def transport(self) -> str:
        return _TRANSPORTS.get(self.target_protocol, '')

    @property
    def portals(self) -> tuple[listening.Portal, ...]:
        return tuple(listening.Portal(address, self.port, self.transport)
                     for address in self.addresses)

    @property
    def last_nsid(self) -> int:
        """The highest namespace id in a subsystem per host.

        It is one that the kernel reports, unless that leaves few ids.
        """
        return (_PROMISED_NSIDS if self.nsid <= _PROMISED_NSIDS // 2
                else _LAST_NSID)

    def nqn(self, name: str) -> str:
        """Return the NQN of the subsystem of a volume or a host."""
        return f'nqn.{self.target_prefix}-{name}'

    def check(self) -> None:
        """Check the options.

        :raises TargetConfigurationError: an option is not valid
        """
        if not self.transport:
            raise errors.TargetConfigurationError(
                f"target_protocol is '{self.target_protocol}', but "
                "target_helper 'nvmet' supports only "
                + ' and '.join(_TRANSPORTS))
        if len(self.addresses) > 1 and self.info_version == 1:
            raise errors.TargetConfigurationError(
                'target_secondary_ip_addresses need nvmeof_conn_info_version '
                '2: version 1 supports one address only')
        node.check_addresses(self.portals, 'nvmet')
        for option, value, first, last in (
                ('nvmet_port_id', self.first_port_id, 0, _LAST_PORT_ID),
                ('nvmet_ns_id', self.nsid, 1, _LAST_NSID)):
            if not first <= value <= last:
                raise errors.TargetConfigurationError(
                    f'{option} is {value}: set it to a number from {first} '
                    f'to {last}')
        try:
            validation.nqn('target_prefix', self.nqn('x' * 36))
        except errors.InvalidArgument as exc:
            raise errors.TargetConfigurationError(
                f"target_prefix '{self.target_prefix}' gives no valid NVMe "
                f'Qualified Name: {exc.reason}. Set it to a prefix such as '
                '2014-08.org.example:cinder') from exc


def check(settings: Settings, key_file: dhchap.KeyFile,
          runner: process.Runner) -> None:
    """Check that volumes can be served.

    :raises TargetConfigurationError: they cannot
    """
    settings.check()
    key_file.read()
    node.load_modules(('nvmet', f'nvmet_{settings.transport}'), 'nvmet',
                      runner)
    node.check_tree('nvmet', runner)
    node.check_rdma(settings.target_protocol)
    with node.lock(LOCK), node.privileged_daemon():
        nvmet_report.list_subsystems()
        can_authenticate = not key_file.is_used or nvmet.can_authenticate()
    if not can_authenticate:
        raise errors.TargetConfigurationError(
            'this kernel cannot authenticate NVMe hosts: it was built without '
            'CONFIG_NVME_TARGET_AUTH. Unset lvm_nvme_key_file and '
            'lvm_nvme_require_keys, or use another kernel')
    _check_local(settings)


def _check_local(settings: Settings) -> None:
    """Check that this node has one of the addresses.

    Without any, no export could be restored: Cinder would set all volumes to
    status error, and would not restore them at the next start.
    """
    missing = [portal.address for portal in settings.portals
               if not listening.is_local(portal)]
    if len(missing) == len(settings.addresses):
        raise errors.TargetConfigurationError(
            'no network interface of this node has an address from '
            'target_ip_address and target_secondary_ip_addresses: '
            + ', '.join(missing))
    for address in missing:
        LOG.warning('No network interface of this node has address %s. '
                    'Volumes cannot be exported until one has it', address)
