# SPDX-License-Identifier: Apache-2.0
"""The files from which tgt-admin makes targets when tgtd starts.

Each volume has one file with its name in the folder ``volumes_dir``. Form,
place and name are those of Cinder's in-tree class, which needs the file to
remove a target. The file has the CHAP secret, so only its owner can read it.
"""

from collections.abc import Iterator
import contextlib
import dataclasses
import os
import re

from cinder_lvm_driver.privileged.chap import Chap
from cinder_lvm_driver import rollback
from cinder_lvm_driver.targets import errors

_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]*')
_NEW = '.new'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Definition:
    """A target for tgt-admin.

    :ivar device: empty if a file has none
    :ivar scsi_id: from which initiators make the WWID of the disk
    :ivar initiators: the allowed names of initiators
    :ivar addresses: the allowed addresses of initiators; without any,
        tgt-admin allows everybody
    """

    target_iqn: str
    device: str
    scsi_id: str
    lld: str
    chap: Chap
    bsoflags: str
    write_cache: bool
    read_only: bool
    initiators: tuple[str, ...]
    addresses: tuple[str, ...]

    @classmethod
    def parse(cls, target_iqn: str, text: str) -> 'Definition':
        """Read the file of a target; ignore lines that are not known."""
        values: dict[str, list[str]] = {}
        for line in text.splitlines():
            words = line.split(maxsplit=1)
            if len(words) == 2:
                values.setdefault(words[0], []).append(words[1].rstrip())

        def last(key: str) -> str:
            return values.get(key, [''])[-1]

        username, _, secret = last('incominguser').partition(' ')
        return cls(
            target_iqn=target_iqn, device=last('backing-store'),
            scsi_id=last('scsi_id'), lld=last('driver'),
            chap=Chap(username, secret), bsoflags=last('bsoflags'),
            write_cache=last('write-cache') == 'on',
            read_only=last('readonly') == '1',
            initiators=tuple(values.get('initiator-name', ())),
            addresses=tuple(values.get('initiator-address', ())))

    def format(self) -> str:
        lines = [
            f'backing-store {self.device}',
            f'driver {self.lld}',
            f'incominguser {self.chap.username} {self.chap.secret}',
            *([f'bsoflags {self.bsoflags}'] if self.bsoflags else []),
            'write-cache ' + ('on' if self.write_cache else 'off'),
            f'scsi_sn {self.scsi_id}',
            f'scsi_id {self.scsi_id}',
            *(['readonly 1'] if self.read_only else []),
            *(f'initiator-address {each}' for each in self.addresses),
            *(f'initiator-name {each}' for each in self.initiators)]
        text = ''.join(f'    {line}\n' for line in lines)
        return f'<target {self.target_iqn}>\n{text}</target>\n'


def file_name(target_iqn: str) -> str:
    """Return the name of the volume in the name of its target.

    :raises InvalidExport: it cannot be the name of a file
    """
    name = target_iqn.rpartition(':')[2]
    if not _NAME.fullmatch(name):
        raise errors.InvalidExport(
            'provider_location', f'names a target {target_iqn!r} that does '
            f'not end in the name of a volume; {errors.ATTACH_AGAIN}')
    return name


def _partial(name: str) -> str:
    """Return the name of a file until it is complete, or in its place."""
    # tgt-admin reads files that match '*', which no leading dot does.
    return f'.{name}{_NEW}'


class Folder:
    """The folder of the definitions."""

    def __init__(self, path: str) -> None:
        self.path = path

    def check(self) -> None:
        """Check that files can be written; create the folder if needed.

        :raises TargetConfigurationError: they cannot
        """
        try:
            with _named_failure(self.path):
                os.makedirs(self.path, mode=0o750, exist_ok=True)
            # tgt-admin ignores this name, and no volume has it.
            self._write('.check', '')
            self._remove('.check')
        except errors.TargetFileNotUsable as exc:
            raise errors.TargetConfigurationError(
                f"volumes_dir '{self.path}' is not usable: {exc}") from exc

    def names(self) -> set[str]:
        """Return the names of volumes that have files, or parts of them.

        :raises TargetFileNotUsable: the folder cannot be read
        """
        found = set()
        with _named_failure(self.path), contextlib.suppress(FileNotFoundError):
            found = {name.removeprefix('.').removesuffix(_NEW)
                     for name in os.listdir(self.path)}
        return set(filter(_NAME.fullmatch, found))

    def read(self, target_iqn: str) -> Definition | None:
        """Return the definition of a target, None if it has no file."""
        return self._read(target_iqn, file_name(target_iqn))

    def read_retired(self, target_iqn: str) -> Definition | None:
        """Return a definition that tgtd does not get, perhaps a part of it."""
        return self._read(target_iqn, _partial(file_name(target_iqn)))

    def _read(self, target_iqn: str, name: str) -> Definition | None:
        path = os.path.join(self.path, name)
        with _named_failure(path):
            try:
                with open(path) as file:
                    return Definition.parse(target_iqn, file.read())
            except FileNotFoundError:
                return None

    def is_partial(self, target_iqn: str) -> bool:
        """Return whether a definition was not stored completely."""
        return os.path.exists(os.path.join(
            self.path, _partial(file_name(target_iqn))))

    def write(self, definition: Definition) -> None:
        """Store a definition completely or not at all."""
        self._write(file_name(definition.target_iqn), definition.format())

    def _write(self, name: str, text: str) -> None:
        partial = _partial(name)
        self._remove(partial)
        path = os.path.join(self.path, partial)
        with _named_failure(path):
            descriptor = os.open(
                path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with rollback.Undo() as undo:
                undo.later(self._remove, partial)
                with open(descriptor, 'w') as file:
                    file.write(text)
                    file.flush()
                    os.fsync(descriptor)
                os.rename(path, os.path.join(self.path, name))
                undo.keep()

    def retire(self, target_iqn: str) -> None:
        """Keep a definition from tgtd, until it is removed."""
        name = file_name(target_iqn)
        path = os.path.join(self.path, name)
        with _named_failure(path), contextlib.suppress(FileNotFoundError):
            os.rename(path, os.path.join(self.path, _partial(name)))

    def remove(self, target_iqn: str) -> None:
        """Remove the definition of a target, if it has one."""
        name = file_name(target_iqn)
        self._remove(name)
        self._remove(_partial(name))

    def _remove(self, name: str) -> None:
        path = os.path.join(self.path, name)
        with _named_failure(path), contextlib.suppress(FileNotFoundError):
            os.unlink(path)


@contextlib.contextmanager
def _named_failure(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise errors.TargetFileNotUsable(
            path, exc.strerror or str(exc)) from exc
