# SPDX-License-Identifier: Apache-2.0
"""What nvmet is told by cinder.conf, and whether this host can do it."""

import dataclasses
import glob
import logging
from typing import Any

from cinder_lvm_driver.privileged import nvmet
from cinder_lvm_driver.privileged import validation
from cinder_lvm_driver import process
from cinder_lvm_driver.targets import dhchap
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import host
from cinder_lvm_driver.targets import kernel
from cinder_lvm_driver.targets import nvmeof
from cinder_lvm_driver.targets import types

LOG = logging.getLogger(__name__)

# The name is that of cinder.volume.targets.nvmet.
LOCK = 'nvmetcli'
# So many namespaces the kernel says that a subsystem has
# (NVMET_MAX_NAMESPACES in drivers/nvme/target/nvmet.h). Higher ids work, too,
# up to the one that the help of nvmet_ns_id and the nvmet library name.
_PROMISED_NSIDS = 1024
_LAST_NSID = 8192
_LAST_PORT_ID = 65535
_RDMA_DEVICES = '/sys/class/infiniband/*'


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The options that target_helper nvmet heeds.

    :ivar share_target: serve new exports in a subsystem for each host
    :ivar nsid: the only namespace of a volume's subsystem, and the first one
        of a host's
    :ivar info_version: of what hosts are told; see
        ``nvmeof.connection_properties``
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
        """Read a back end's section of cinder.conf; checks nothing."""
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
        return nvmeof.TRANSPORTS.get(self.target_protocol, '')

    @property
    def portals(self) -> tuple[nvmeof.Portal, ...]:
        return tuple((self.transport, address, self.port)
                     for address in self.addresses)

    @property
    def last_nsid(self) -> int:
        """The highest id for a new volume in the subsystem of a host.

        One that the kernel promises, unless that leaves little room.
        """
        return (_PROMISED_NSIDS if self.nsid <= _PROMISED_NSIDS // 2
                else _LAST_NSID)

    def nqn(self, name: str) -> str:
        """Return the name of the subsystem of a volume or a host."""
        return f'nqn.{self.target_prefix}-{name}'

    def check(self) -> None:
        """Look that volumes can be served so.

        :raises TargetConfigurationError: they cannot; the message names the
            option
        """
        if not self.transport:
            raise errors.TargetConfigurationError(
                f"target_protocol is '{self.target_protocol}', but "
                "target_helper 'nvmet' speaks only "
                + ' and '.join(nvmeof.TRANSPORTS))
        if len(self.addresses) > 1 and self.info_version == 1:
            raise errors.TargetConfigurationError(
                'target_secondary_ip_addresses need nvmeof_conn_info_version '
                '2: version 1 has room for one address')
        kernel.check_addresses(
            [types.Portal(address, self.port) for address in self.addresses],
            'nvmet')
        for option, value, first, last in (
                ('nvmet_port_id', self.first_port_id, 0, _LAST_PORT_ID),
                ('nvmet_ns_id', self.nsid, 1, _LAST_NSID)):
            if not first <= value <= last:
                raise errors.TargetConfigurationError(
                    f'{option} is {value}, which is not between {first} and '
                    f'{last}')
        try:
            validation.nqn('target_prefix', self.nqn('x' * 36))
        except errors.InvalidArgument as exc:
            raise errors.TargetConfigurationError(
                f"target_prefix '{self.target_prefix}' does not begin an NVMe "
                'Qualified Name such as 2014-08.org.example:cinder') from exc


def check(settings: Settings, key_file: dhchap.KeyFile,
          runner: process.Runner) -> None:
    """Prove that volumes can be served.

    :raises TargetConfigurationError: they cannot; the message says why
    """
    settings.check()
    key_file.read()
    kernel.load_modules(('nvmet', f'nvmet_{settings.transport}'), 'nvmet',
                        runner)
    kernel.check_tree('nvmet')
    # The kernel opens a port for RDMA without any device for it.
    if settings.transport == 'rdma' and not glob.glob(_RDMA_DEVICES):
        raise errors.TargetConfigurationError(
            'target_protocol is nvmet_rdma, but this host has no RDMA device')
    with host.lock(LOCK), host.privileged_daemon():
        nvmet.list_subsystems()
        can_authenticate = not key_file.is_used or nvmet.can_authenticate()
    if not can_authenticate:
        raise errors.TargetConfigurationError(
            'this kernel cannot authenticate NVMe hosts: it was built without '
            'CONFIG_NVME_TARGET_AUTH, so lvm_nvme_key_file and '
            'lvm_nvme_require_keys cannot be set')
    _check_local(settings)


def _check_local(settings: Settings) -> None:
    """Look that one address is there; that is enough for I/O to go on.

    Without any, no volume could be brought back, and Cinder would put all
    into status error and not ask for them again at the next start.
    """
    missing = [address for address in settings.addresses
               if not host.is_local(types.Portal(address, settings.port))]
    if len(missing) == len(settings.addresses):
        raise errors.TargetConfigurationError(
            'none of the addresses in target_ip_address and '
            'target_secondary_ip_addresses is one of this host: '
            + ', '.join(missing))
    for address in missing:
        LOG.warning('Address %s is none of this host. Volumes cannot be '
                    'exported before it is there.', address)
