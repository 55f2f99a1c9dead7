# SPDX-License-Identifier: Apache-2.0
"""iSCSI targets of tgtd, the one in user space (target_helper tgtadm)."""

from collections.abc import Callable, Iterator, Mapping
import contextlib
import logging
import socket
from typing import Any

from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver.privileged import tgt
from cinder_lvm_driver.privileged import tgt_objects
from cinder_lvm_driver.privileged import validation
from cinder_lvm_driver import process
from cinder_lvm_driver.targets import base
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import host
from cinder_lvm_driver.targets import iscsi
from cinder_lvm_driver.targets import tgt_persist
from cinder_lvm_driver.targets import types

LOG = logging.getLogger(__name__)


def _host_lock() -> contextlib.AbstractContextManager[Any]:
    """Keep our other back ends on this host out of tgtd.

    The in-tree class takes no lock.
    """
    return host.lock('tgtadm')


class TgtTarget(iscsi.ISCSITarget):
    """Each volume is LUN 1 of a target of its own; LUN 0 is a controller.

    Discarding is not offered: the daemon advertises it and then fails to do
    it on logical volumes.
    """

    LUN = 1
    _initiator_name = staticmethod(validation.tgt_initiator)
    SERVES_READ_ONLY = True

    def __init__(self, configuration: Any, runner: process.Runner) -> None:
        super().__init__(configuration, runner)
        self.folder = tgt_persist.Folder(configuration.volumes_dir)
        self.write_cache = configuration.iscsi_write_cache == 'on'
        self.bsoflags = configuration.iscsi_target_flags or ''

    # Setup ----------------------------------------------------------------

    def check_for_setup_error(self) -> None:
        super().check_for_setup_error()
        host.check_target_names(self.target_prefix, _check_name)
        try:
            validation.bsoflags(self.bsoflags)
        except errors.InvalidArgument as exc:
            raise errors.TargetConfigurationError(str(exc)) from exc
        with _host_lock():
            self.folder.check()
        self._check_daemon()
        self._check_portals()

    def _check_daemon(self) -> None:
        try:
            with host.privileged_daemon():
                transports = tgt.describe_daemon()
        except errors.TargetDaemonFailure as exc:
            raise errors.TargetConfigurationError(str(exc)) from exc
        state = transports.get(self.driver_volume_type, 'not built in')
        if state != 'ready':
            raise errors.TargetConfigurationError(
                f"target_protocol is '{self.driver_volume_type}', but that "
                f"transport of tgtd is in state '{state}'")

    def _check_portals(self) -> None:
        for portal in self.portals:
            try:
                here = any(map(host.is_local, _resolved(portal)))
            except OSError as exc:
                raise errors.TargetConfigurationError(
                    f"'{portal.address}' is no address and no name of one: "
                    f'{exc.strerror}') from exc
            if not here:
                LOG.warning('Portal %s is on no address of this host',
                            portal)
        for portal_text, reason in self._listen(self.portals):
            LOG.warning('tgtd cannot serve portal %s: %s', portal_text,
                        reason)

    def _listen(self, portals: tuple[types.Portal, ...],
                ) -> list[tuple[str, str]]:
        """Have the daemon listen; return what it cannot, with reasons."""
        if self.driver_volume_type != 'iscsi':
            return []       # iser's portals are the daemon's own affair
        wanted = []
        refused = []
        for portal in portals:
            try:
                wanted.append([one.canonical for one in _resolved(portal)])
            except OSError as exc:
                refused.append((str(portal), exc.strerror or str(exc)))
        with _host_lock():
            reasons = dict(tgt.ensure_portals(
                [address for addresses in wanted for address in addresses]))
        for addresses in wanted:
            # One address of a name is enough, as it is for tgtd: a name may
            # have one of IPv6 where the kernel has none.
            names = [listening.spell(address) for address in addresses]
            if reasons.keys() >= set(names):
                refused += [(name, reasons[name]) for name in names]
        return refused

    # Targets --------------------------------------------------------------

    def _create_target(self, request: types.ExportRequest) -> str:
        for portal, reason in self._listen(request.portals):
            raise errors.PortalNotAvailable(portal, reason)
        with _host_lock():
            text = self.folder.read(request.target_iqn) or ''
            initiators = tgt_persist.initiators(text)
            # The file knows who was let in and locked out a moment ago; the
            # in-tree driver's knows no hosts.
            if tgt_persist.addresses(text) != self._addresses:
                initiators = tuple(dict.fromkeys(
                    initiators + request.initiators))
            return str(self._serve(request, initiators))

    def _ensure_targets(self, requests: list[types.ExportRequest],
                        ) -> dict[str, Exception]:
        if not requests:
            return {}
        try:
            present = tgt.list_targets()
            for portal, reason in self._listen(types.unique_portals(
                    *(request.portals for request in requests))):
                LOG.warning('Volumes are served, but not on portal %s: %s',
                            portal, reason)
        except errors.TargetError as exc:
            return {request.volume_id: exc for request in requests}
        return iscsi.try_each(requests, lambda request: self._ensure_target(
            request, present.get(request.target_iqn)))

    def _ensure_target(self, request: types.ExportRequest,
                       present: Mapping[str, Any] | None) -> None:
        """Complete a target and its file."""
        allowed = tuple(present['initiators']) if present else ()
        with _host_lock():
            if present is None or not self._is_whole(present, request):
                LOG.info('Bringing back target %s for volume %s',
                         request.target_iqn, request.volume_id)
                self._serve(request, tuple(dict.fromkeys(
                    allowed + request.initiators)))
            elif not self._is_stored(request):
                self._store(request, allowed)

    def _serve(self, request: types.ExportRequest,
               initiators: tuple[str, ...]) -> int:
        """Make a target and its file; return the number of the target."""
        is_new = self.folder.read(request.target_iqn) is None
        with contextlib.ExitStack() as undo:
            if is_new:
                undo.callback(self.folder.remove, request.target_iqn)
            self._store(request, initiators)
            tid: int = tgt.create_target(
                request.target_iqn, self.driver_volume_type,
                (request.device, tgt_persist.file_name(request.target_iqn),
                 self.write_cache, self.bsoflags, request.read_only),
                (request.chap.username, request.chap.secret), initiators)
            undo.pop_all()
        return tid

    def _store(self, request: types.ExportRequest,
               initiators: tuple[str, ...]) -> None:
        self.folder.write(request.target_iqn, tgt_persist.Definition(
            request.target_iqn, request.device, self.driver_volume_type,
            request.chap, self.bsoflags, self.write_cache,
            request.read_only, initiators, *self._addresses).format())

    @property
    def _addresses(self) -> tuple[str]:
        """What a file of ours lets in by address."""
        return (tgt_objects.address(self.driver_volume_type),)

    def _is_whole(self, present: Mapping[str, Any],
                  request: types.ExportRequest) -> bool:
        """Tell whether an export, as listed, lacks nothing."""
        return (present['ready'] and present['closed']
                and present['lld'] == self.driver_volume_type
                and tuple(present['accounts']) == (request.chap.username,)
                and _number(present) == validation.device_number(
                    request.device)
                and set(request.initiators) <= set(present['initiators']))

    def _is_stored_for_another(self, target_iqn: str, device: str) -> bool:
        """Tell whether the file has a device, and not this one."""
        stored = tgt_persist.device(self.folder.read(target_iqn) or '')
        return stored is not None and validation.is_another_device(
            stored, validation.found_device_number(stored), device)

    def _is_stored(self, request: types.ExportRequest) -> bool:
        """Tell whether the file lets in the hosts of a volume, and no more."""
        text = self.folder.read(request.target_iqn)
        return (text is not None
                and tgt_persist.addresses(text) == self._addresses
                and set(request.initiators)
                <= set(tgt_persist.initiators(text)))

    def _delete_target(self, target_iqn: str, device: str | None) -> None:
        with _host_lock():
            # First, as a daemon may be started meanwhile.
            if device is None or not self._is_stored_for_another(
                    target_iqn, device):
                self.folder.remove(target_iqn)
            with _gone_with_daemon(target_iqn):
                tgt.delete_target(target_iqn, device)

    # Access ---------------------------------------------------------------

    def _spellings(self, initiator_iqn: str) -> tuple[str, ...]:
        """Return a host's own spelling, by which alone tgtd knows it.

        And that of the iSCSI standard, in case the host keeps to it.
        """
        return tuple(dict.fromkeys((initiator_iqn, initiator_iqn.lower())))

    def _allow(self, target_iqn: str, initiator_iqn: str,
               chap: types.Chap) -> bool:
        with _host_lock(), contextlib.ExitStack() as undo:
            before = self._store_initiators(target_iqn, lambda names: (
                *names, *({initiator_iqn} - set(names))))
            if before is not None:
                undo.callback(self.folder.write, target_iqn, before)
            tgt.allow_initiator(target_iqn, initiator_iqn, chap.username,
                                chap.secret)
            undo.pop_all()
        return False

    def _deny(self, target_iqn: str, initiator_iqn: str | None) -> None:
        with _host_lock():
            self._store_initiators(target_iqn, lambda names: tuple(
                name for name in names
                if initiator_iqn not in (None, name.lower())))
            with _gone_with_daemon(target_iqn):
                if initiator_iqn is None:
                    tgt.deny_all_initiators(target_iqn)
                else:
                    tgt.deny_initiator(target_iqn, initiator_iqn)

    def _store_initiators(self, target_iqn: str, change: Callable[
            [tuple[str, ...]], tuple[str, ...]]) -> str | None:
        """Have the file let in other hosts; where there is none, none.

        :returns: the definition as it was, None if it was left so
        """
        text = self.folder.read(target_iqn)
        if text is None:
            return None
        before = tgt_persist.initiators(text)
        after = change(before)
        if after == before:
            return None
        self.folder.write(
            target_iqn, tgt_persist.with_initiators(text, after))
        return text

    # Size -----------------------------------------------------------------

    def extend_target(self, volume: base.Volume) -> None:
        """Have initiators see the new size of a volume after a rescan.

        They are sent away for some seconds, and repeat their I/O then.
        """
        try:
            export = iscsi.own_export(volume)
        except errors.InvalidExport:
            return
        with _host_lock():
            tgt.resize_target(export.target_iqn, self.write_cache)


def _check_name(option: str, target_iqn: str) -> None:
    """Look that there can be a target of this name, and its file.

    :raises InvalidArgument: there cannot
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
    """Let a target be taken as gone where there is no daemon to serve it.

    The next daemon makes its targets of what the files say by then.
    """
    try:
        yield
    except errors.TargetDaemonNotRunning as exc:
        LOG.warning('Target %s is not served, so its file alone was changed: '
                    '%s', target_iqn, exc)


def _number(present: Mapping[str, Any]) -> tuple[int, int] | None:
    return tuple(present['device']) if present['device'] else None


def _resolved(portal: types.Portal) -> list[types.Portal]:
    """Return a portal with addresses in place of a name.

    :raises OSError: there is no such name
    """
    return [types.Portal(str(address[0]), portal.port)
            for *_, address in socket.getaddrinfo(
                portal.address, portal.port, type=socket.SOCK_STREAM)]
