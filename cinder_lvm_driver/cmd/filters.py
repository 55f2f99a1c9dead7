# SPDX-License-Identifier: Apache-2.0
"""The rootwrap filters on this node, compared with those of this version."""

import configparser
from importlib import metadata
import os
import pathlib

from oslo_config import cfg

import cinder_lvm_driver
from cinder_lvm_driver import errors
from cinder_lvm_driver import process

_DISTRIBUTION = 'cinder-lvm-driver'
_SOURCE_FOLDER = 'etc/cinder/rootwrap.d'
_SECTION = 'Filters'
_OWNER = 0
_OTHERS_WRITE = 0o022


def check() -> str:
    """Return the path of the filter file.

    :raises errors.ConfigurationError: rootwrap does not find it, it is of
        another version, or another user than root could change it
    """
    shipped = _shipped()
    source = shipped or f'{_SOURCE_FOLDER}/{process.FILTER_FILE}'
    folders = _folders()
    installed = _installed(folders)
    if installed is None:
        raise errors.ConfigurationError(
            f'filters_path in {cfg.CONF.rootwrap_config} has no file '
            f'{process.FILTER_FILE}: copy {source} to {folders[0]}')
    _check_owner(installed)
    if shipped is None:
        return str(installed)
    wanted, found = _rows(shipped), _rows(installed)
    differing = [name for name in wanted if found.get(name) != wanted[name]]
    if differing:
        raise errors.ConfigurationError(
            f'{installed} is not of this version and lacks or changes '
            f'{", ".join(differing)}: copy {source} over it')
    return str(installed)


def _folders() -> list[pathlib.Path]:
    """Return the directories that rootwrap reads."""
    path = cfg.CONF.rootwrap_config
    parser = configparser.RawConfigParser()
    try:
        with open(path, encoding='utf-8') as file:
            parser.read_file(file)
        text = parser.get('DEFAULT', 'filters_path')
    except (OSError, configparser.Error) as exc:
        raise errors.ConfigurationError(
            f'{path} cannot be read: {exc}. Set rootwrap_config to the '
            f'rootwrap.conf of Cinder') from exc
    return [pathlib.Path(folder.strip()) for folder in text.split(',')]


def _installed(folders: list[pathlib.Path]) -> pathlib.Path | None:
    return next((path for folder in folders
                 if (path := folder / process.FILTER_FILE).is_file()), None)


def _shipped() -> pathlib.Path | None:
    """Return the file of this version, of an installation or a tree."""
    tree = pathlib.Path(cinder_lvm_driver.__file__).parents[1]
    candidates = [tree / _SOURCE_FOLDER / process.FILTER_FILE]
    try:
        candidates += [
            pathlib.Path(str(file.locate()))
            for file in metadata.files(_DISTRIBUTION) or ()
            if file.name == process.FILTER_FILE]
    except metadata.PackageNotFoundError:
        pass  # A source tree.
    return next((path for path in candidates if path.is_file()), None)


def _rows(path: pathlib.Path) -> dict[str, str]:
    """Return the filters of a file by name.

    :raises errors.ConfigurationError: rootwrap could not read it either
    """
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(path.read_text(encoding='utf-8'))
        return dict(parser.items(_SECTION))
    except (OSError, configparser.Error, UnicodeDecodeError) as exc:
        raise errors.ConfigurationError(
            f'{path} cannot be read: {exc}. Copy the file of this version '
            f'over it, with mode 0644') from exc


def _check_owner(path: pathlib.Path) -> None:
    for each in path, path.parent:
        status = os.stat(each)
        if status.st_uid != _OWNER or status.st_mode & _OTHERS_WRITE:
            raise errors.ConfigurationError(
                f'Another user than root can change {each}, and so become '
                f'root: run chown root {each} and chmod go-w {each}')
