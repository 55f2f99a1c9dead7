# SPDX-License-Identifier: Apache-2.0
"""The files that tgt-admin makes targets of when tgtd is started.

One file a volume, named like the volume, in the folder ``volumes_dir``: the
form, the place and the name are those of Cinder's in-tree class, which needs
the file to remove a target. It holds the CHAP secret and only its owner can
read it.
"""

from collections.abc import Iterable, Iterator
import contextlib
import dataclasses
import os
import re

from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import types

_DEVICE = 'backing-store '
_INITIATORS = 'initiator-'
_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]*')


@dataclasses.dataclass(frozen=True)
class Definition:
    """A target as tgt-admin is to make it.

    :ivar address: what to let in by address; without any, tgt-admin lets
        everybody in
    """

    target_iqn: str
    device: str
    lld: str
    chap: types.Chap
    bsoflags: str
    write_cache: bool
    read_only: bool
    initiators: tuple[str, ...]
    address: str

    def format(self) -> str:
        name = file_name(self.target_iqn)
        lines = [f'{_DEVICE}{self.device}', f'driver {self.lld}',
                 f'incominguser {self.chap.username} {self.chap.secret}']
        if self.bsoflags:
            lines.append(f'bsoflags {self.bsoflags}')
        lines += ['write-cache ' + ('on' if self.write_cache else 'off'),
                  f'scsi_sn {name}', f'scsi_id {name}']
        if self.read_only:
            lines.append('readonly 1')
        lines.append(f'{_INITIATORS}address {self.address}')
        text = ''.join(f'    {line}\n' for line in lines)
        return with_initiators(
            f'<target {self.target_iqn}>\n{text}</target>\n',
            self.initiators)


def with_initiators(text: str, initiators: Iterable[str]) -> str:
    """Return a definition with other names of initiators."""
    lines = [line for line in text.splitlines(keepends=True)
             if not line.strip().startswith(f'{_INITIATORS}name')]
    end = next((number for number, line in enumerate(lines)
                if line.strip() == '</target>'), len(lines))
    lines[end:end] = [f'    {_INITIATORS}name {initiator}\n'
                      for initiator in initiators]
    return ''.join(lines)


def device(text: str) -> str | None:
    """Return the path of the device in a definition."""
    return next((line.split()[1] for line in text.splitlines()
                 if line.strip().startswith(_DEVICE)), None)


def initiators(text: str) -> tuple[str, ...]:
    """Return the names of the initiators in a definition."""
    return _let_in(text, 'name')


def addresses(text: str) -> tuple[str, ...]:
    """Return the addresses of initiators in a definition."""
    return _let_in(text, 'address')


def _let_in(text: str, kind: str) -> tuple[str, ...]:
    return tuple(line.split()[1] for line in text.splitlines()
                 if line.strip().startswith(f'{_INITIATORS}{kind} '))


def file_name(target_iqn: str) -> str:
    """Return the name of the volume in the name of its target.

    :raises InvalidExport: there is none that a file could have
    """
    name = target_iqn.rpartition(':')[2]
    if not _NAME.fullmatch(name):
        raise errors.InvalidExport(
            'provider_location', f'names a target {target_iqn!r} that does '
            f'not end in the name of a volume; {errors.ATTACH_AGAIN}')
    return name


class Folder:
    """The folder of the definitions."""

    def __init__(self, path: str) -> None:
        self.path = path

    def check(self) -> None:
        """Look that files can be written, and make the folder if needed.

        :raises TargetConfigurationError: they cannot
        """
        try:
            with _named_failure(self.path):
                os.makedirs(self.path, mode=0o750, exist_ok=True)
            # A name that tgt-admin does not read, and no volume has.
            self._write('.check', '')
            self._remove('.check')
        except errors.TargetFileNotUsable as exc:
            raise errors.TargetConfigurationError(
                f"volumes_dir '{self.path}' is of no use: {exc}") from exc

    def read(self, target_iqn: str) -> str | None:
        """Return the definition of a target, None if there is no file."""
        path = os.path.join(self.path, file_name(target_iqn))
        with _named_failure(path):
            try:
                with open(path) as file:
                    return file.read()
            except FileNotFoundError:
                return None

    def write(self, target_iqn: str, text: str) -> None:
        """Store the definition of a target, all of it or nothing."""
        self._write(file_name(target_iqn), text)

    def _write(self, name: str, text: str) -> None:
        # tgt-admin reads what matches '*', so nothing with a dot in front.
        self._remove(f'.{name}.new')
        path = os.path.join(self.path, f'.{name}.new')
        with _named_failure(path):
            descriptor = os.open(
                path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, 'w') as file:
                file.write(text)
                file.flush()
                os.fsync(descriptor)
            os.rename(path, os.path.join(self.path, name))

    def remove(self, target_iqn: str) -> None:
        """Remove the definition of a target, if there is one."""
        name = file_name(target_iqn)
        self._remove(name)
        self._remove(f'.{name}.new')

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
