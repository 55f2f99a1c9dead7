# SPDX-License-Identifier: Apache-2.0
"""iSCSI targets of tgtd, the one in user space (target_helper tgtadm)."""

from collections.abc import Callable, Iterable, Iterator
import contextlib
import dataclasses
import logging
import socket
from typing import Any

from cinder_lvm_driver import blockdev
from cinder_lvm_driver.privileged.chap import Chap
from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver.privileged import tgt
from cinder_lvm_driver.privileged import tgt_objects
from cinder_lvm_driver.privileged import validation
from cinder_lvm_driver import process
from cinder_lvm_driver import rollback
from cinder_lvm_driver.targets import base
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import iscsi
from cinder_lvm_driver.targets.iscsi_export import ExportRequest
from cinder_lvm_driver.targets import node
from cinder_lvm_driver.targets import portals
from cinder_lvm_driver.targets import tgt_persist

LOG = logging.getLogger(__name__)


def _lock() -> contextlib.AbstractContextManager[Any]:
    """Lock tgtd against our other back ends on this node.

    The in-tree class takes no lock.
    """
    return node.lock('tgtadm')


class TgtTarget(iscsi.ISCSITarget):
    """Each volume is LUN 1 of a target of its own; LUN 0 is a controller.

    The driver does not offer discard: tgtd advertises it, but cannot discard
    blocks of LVs.
    """

    LUN = 1
    _initiator_name = staticmethod(validation.tgt_initiator)
    SERVES_READ_ONLY = True

    def __init__(self, configuration: Any, runner: process.Runner) -> None:
        super().__init__(configuration, runner)
        self.folder = tgt_persist.Folder(configuration.volumes_dir)
        self.write_cache = configuration.iscsi_write_cache == 'on'
        self.bsoflags = configuration.iscsi_target_flags or ''
        self.addresses = (tgt_objects.address(self.driver_volume_type),)

    # Setup ----------------------------------------------------------------

    def check_for_setup_error(self) -> None:
        super().check_for_setup_error()
        node.check_target_names(self.target_prefix, _check_name)
        try:
            validation.bsoflags(self.bsoflags)
        except errors.InvalidArgument as exc:
            raise errors.TargetConfigurationError(str(exc)) from exc
        with _lock():
            self.folder.check()
        self._check_daemon()
        for portal in self.portals:
            try:
                _resolved(portal)
            except OSError as exc:
                raise errors.TargetConfigurationError(
                    f"'{portal.address}' is neither an IP address nor a name "
                    f'that has one: {exc.strerror}') from exc
        self._listen(self.portals)

    def fault(self) -> str | None:
        """See the base class; also has tgtd listen if it was restarted."""
        try:
            self._check_daemon()
            refused = self._listen(self.portals)
        except (errors.TargetError, *node.DAEMON_FAILURES) as exc:
            return str(exc)
        for each in refused:
            return (portals.fault([listening.Portal.parse(each.portal)],
                                  lambda portal: False, self.runner)
                    or f'tgtd cannot listen on portal {each.portal}: '
                    f'{each.reason}')
        return super().fault()

    def _check_daemon(self) -> None:
        try:
            with node.privileged_daemon():
                transports = tgt.describe_daemon()
        except errors.TargetDaemonFailure as exc:
            raise errors.TargetConfigurationError(str(exc)) from exc
        state = transports.get(self.driver_volume_type, 'not built in')
        if state != 'ready':
            raise errors.TargetConfigurationError(
                f"target_protocol is '{self.driver_volume_type}', but that "
                f"transport of tgtd is in state '{state}'")

    def _listen(self, portals: tuple[listening.Portal, ...],
                ) -> list[listening.Refused]:
        """Make tgtd listen on portals; return those that it refuses."""
        if self.driver_volume_type != 'iscsi':
            return []       # tgtd chooses the portals of iSER itself.
        wanted = []
        refused = []
        for portal in portals:
            try:
                wanted.append(_resolved(portal))
            except OSError as exc:
                refused.append(listening.Refused(
                    str(portal), exc.strerror or str(exc)))
        with _lock():
            replies = {reply.portal: reply for reply in tgt.ensure_portals(
                [address for addresses in wanted for address in addresses])}
        for addresses in wanted:
            # tgtd needs one address of a name only: a name may have an IPv6
            # address where the kernel has no IPv6.
            names = [str(address.validated()) for address in addresses]
            if replies.keys() >= set(names):
                refused += [replies[name] for name in names]
        return refused

    # Targets --------------------------------------------------------------

    def list_served(self) -> list[base.Served]:
        return [base.Served(name=target_iqn, device=target.device,
                            hosts=len(target.initiators),
                            sessions=target.sessions)
                for target_iqn, target in tgt.list_targets().items()]

    def _create_target(self, request: ExportRequest) -> str:
        for refused in self._listen(request.portals):
            raise errors.PortalNotAvailable(refused.portal, refused.reason)
        with _lock():
            stored = self.folder.read(request.target_iqn)
            # The file knows which hosts were allowed and denied a moment
            # ago, but the in-tree driver's file names no hosts.
            if stored is not None and stored.addresses == self.addresses:
                initiators = stored.initiators
            else:
                initiators = _union(stored.initiators if stored else (),
                                    request.initiators)
            return str(self._serve(request, initiators))

    def _ensure_targets(self, requests: list[ExportRequest],
                        ) -> dict[str, Exception]:
        if not requests:
            return {}
        try:
            present = tgt.list_targets()
            for refused in self._listen(listening.unique(
                    portal for request in requests
                    for portal in request.portals)):
                LOG.warning('Volumes are served, but not on portal %s: %s',
                            refused.portal, refused.reason)
        except errors.TargetError as exc:
            return {request.volume_id: exc for request in requests}
        return iscsi.try_each(requests, lambda request: self._ensure_target(
            request, present.get(request.target_iqn)))

    def _ensure_target(self, request: ExportRequest,
                       present: tgt.ListedTarget | None) -> None:
        """Complete a target and its file."""
        allowed = present.initiators if present else ()
        with _lock():
            if present is None or not self._is_complete(present, request):
                LOG.info('Restoring target %s for volume %s',
                         request.target_iqn, request.volume_id)
                self._serve(request, _union(allowed, request.initiators))
                return
            definition = self._definition(request, allowed)
            if (self.folder.is_partial(request.target_iqn)
                    or self.folder.read(request.target_iqn) != definition):
                self.folder.write(definition)

    def _serve(self, request: ExportRequest,
               initiators: tuple[str, ...]) -> int:
        """Make a target and its file; return the number of the target."""
        is_new = self.folder.read(request.target_iqn) is None
        with rollback.Undo() as undo:
            if is_new:
                undo.later(self.folder.remove, request.target_iqn)
            self.folder.write(self._definition(request, initiators))
            disk = tgt.Disk(
                device=request.device, scsi_id=_scsi_id(request),
                write_cache=self.write_cache, bsoflags=self.bsoflags,
                read_only=request.read_only)
            tid = tgt.create_target(
                target_iqn=request.target_iqn, lld=self.driver_volume_type,
                disk=disk, chap=request.chap, initiators=initiators)
            undo.keep()
        return tid

    def _definition(self, request: ExportRequest, initiators: tuple[str, ...],
                    ) -> tgt_persist.Definition:
        return tgt_persist.Definition(
            target_iqn=request.target_iqn, device=request.device,
            scsi_id=_scsi_id(request), lld=self.driver_volume_type,
            chap=request.chap, bsoflags=self.bsoflags,
            write_cache=self.write_cache, read_only=request.read_only,
            initiators=initiators, addresses=self.addresses)

    def _is_complete(self, present: tgt.ListedTarget,
                     request: ExportRequest) -> bool:
        """Tell whether an export lacks nothing."""
        return (present.ready and present.closed
                and present.lld == self.driver_volume_type
                and present.accounts == (request.chap.username,)
                and present.device == validation.device_number(request.device)
                and set(request.initiators) <= set(present.initiators))

    def _find_unused(self, names: list[str]) -> Iterable[str]:
        present = tgt.list_targets()
        for target_iqn in names:
            if target_iqn in present:
                if present[target_iqn].unused:
                    yield target_iqn
                continue
            stored = self.folder.read(target_iqn)
            if self.folder.is_partial(target_iqn) or (
                    stored is not None and not stored.initiators
                    and stored.addresses == self.addresses):
                yield target_iqn

    def stored_devices(self) -> dict[str, str]:
        found = {}
        for name in self.folder.names():
            target_iqn = f'{self.target_prefix}{name}'
            stored = (self.folder.read(target_iqn)
                      or self.folder.read_retired(target_iqn))
            if stored is not None:
                found[target_iqn] = stored.device
        return found

    def remove_stored(self, name: str) -> None:
        self._delete_target(name, None)

    def _delete_target(self, target_iqn: str, device: str | None) -> None:
        with _lock():
            stored = (self.folder.read(target_iqn)
                      or self.folder.read_retired(target_iqn))
            # tgtd may start meanwhile, and only the file names an account
            # that is not bound.
            is_ours = (stored is None or device is None
                    or not validation.is_another_device(
                        stored.device, blockdev.number(stored.device),
                        device))
            if is_ours:
                self.folder.retire(target_iqn)
            with _gone_with_daemon(target_iqn):
                tgt.delete_target(
                    target_iqn, device,
                    stored.chap.username if stored else None)
            if is_ours:
                self.folder.remove(target_iqn)

    # Access ---------------------------------------------------------------

    def _spellings(self, initiator_iqn: str) -> tuple[str, ...]:
        """Return a host's own spelling, which tgtd compares, and lower case.

        A host that keeps to RFC 7143 uses lower case.
        """
        return _union((initiator_iqn,), (initiator_iqn.lower(),))

    def _allow(self, target_iqn: str, initiator_iqn: str, chap: Chap) -> bool:
        with _lock(), rollback.Undo() as undo:
            before = self._store_initiators(
                target_iqn, lambda names: _union(names, (initiator_iqn,)))
            if before is not None:
                undo.later(self.folder.write, before)
            tgt.allow_initiator(target_iqn=target_iqn,
                                initiator_iqn=initiator_iqn, chap=chap)
            undo.keep()
        return False

    def _deny(self, target_iqn: str, initiator_iqn: str | None) -> None:
        with _lock():
            self._store_initiators(target_iqn, lambda names: tuple(
                name for name in names
                if initiator_iqn not in (None, name.lower())))
            with _gone_with_daemon(target_iqn):
                if initiator_iqn is None:
                    tgt.deny_all_initiators(target_iqn)
                else:
                    tgt.deny_initiator(target_iqn, initiator_iqn)

    def _store_initiators(
            self, target_iqn: str,
            change: Callable[[tuple[str, ...]], tuple[str, ...]],
    ) -> tgt_persist.Definition | None:
        """Change the initiators in the file of a target, if it has one.

        :returns: the definition before, None if nothing changed
        """
        before = self.folder.read(target_iqn)
        if before is None:
            return None
        after = dataclasses.replace(
            before, initiators=change(before.initiators))
        if after == before:
            return None
        self.folder.write(after)
        return before

    # Size -----------------------------------------------------------------

    def extend_target(self, volume: base.Volume) -> None:
        """Show initiators the new size of a volume at their next rescan.

        This ends their connections for some seconds; then they repeat their
        I/O.
        """
        try:
            export = iscsi.own_export(volume)
        except errors.InvalidExport:
            return
        with _lock():
            tgt.resize_target(export.target_iqn, self.write_cache)


def _union(*names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names in order, each once."""
    return tuple(dict.fromkeys(name for some in names for name in some))


def _scsi_id(request: ExportRequest) -> str:
    """Return the identifier from which hosts make the WWID of a disk.

    It is the name of the volume, as with the in-tree class, as long as tgtd
    does not cut the ID off that a long volume_name_template puts at its end.
    """
    name = tgt_persist.file_name(request.target_iqn)
    shown = name[:tgt_objects.SCSI_ID_LENGTH]
    half = request.serial[:len(request.serial) // 2]
    return name if name == shown or half in shown else request.serial


def _check_name(option: str, target_iqn: str) -> None:
    """Check that tgt accepts a name, and that a file can have it.

    :raises InvalidArgument: one is not the case
    """
    validation.tgt_target(option, target_iqn)
    try:
        tgt_persist.file_name(target_iqn)
    except errors.InvalidExport as exc:
        raise errors.InvalidArgument(
            option, f'{target_iqn!r} does not end in a name for its file'
        ) from exc


@contextlib.contextmanager
def _gone_with_daemon(target_iqn: str) -> Iterator[None]:
    """Accept that tgtd is not running, so that it serves no target.

    When it starts, it makes its targets from the files.
    """
    try:
        yield
    except errors.TargetDaemonNotRunning as exc:
        LOG.warning('Target %s is not served, so only its file was changed: '
                    '%s', target_iqn, exc)


def _resolved(portal: listening.Portal) -> list[listening.Portal]:
    """Return portals with the IP addresses of a portal's name.

    :raises OSError: the name is not known
    """
    return [listening.Portal(str(address[0]), portal.port)
            for *_, address in socket.getaddrinfo(
                portal.address, portal.port, type=socket.SOCK_STREAM)]
