# SPDX-License-Identifier: Apache-2.0
"""What the sections of cinder.conf say that an operator hardly meant."""

from collections.abc import Iterator, Mapping
import difflib
import glob
import logging
import os
import re

from cinder.volume import configuration as cinder_configuration
from oslo_config import cfg

from cinder_lvm_driver import options

LOG = logging.getLogger(__name__)

# Name and values of each option as they are written.
Section = Mapping[str, list[str]]
_VG_OF_POOL = re.compile(r'\bvolume_group:([^,\s]+)')
_SHARED = cinder_configuration.SHARED_CONF_GROUP


def warn(configuration: cinder_configuration.Configuration) -> None:
    """Warn of options that nobody knows, and of a VG with two back ends."""
    name = configuration.config_group
    if name is None:
        return
    sections = _sections()
    for option, likely in _unknown(sections.get(name, {}),
                                   _known_options(name)):
        LOG.warning('Section [%s] of cinder.conf sets %s, which is no option '
                    'of a back end: %s', name, option,
                    f'set {likely}' if likely else 'remove it')
    for other, remark in _sharing(name, sections):
        LOG.warning('Back ends %s and %s use one VG, %s: give each a VG of '
                    'its own, or remove one from enabled_backends', name,
                    other, remark)


def _sections() -> dict[str, Section]:
    """Return the sections of the configuration files."""
    sections: dict[str, dict[str, list[str]]] = {}
    for path in _paths():
        found: dict[str, dict[str, list[str]]] = {}
        cfg.ConfigParser(path, found).parse()
        for name, values in found.items():
            sections.setdefault(name, {}).update(
                (option.replace('-', '_'), value)
                for option, value in values.items())
    return dict(sections)


def _paths() -> list[str]:
    """Return the configuration files in the order in which they count."""
    try:
        return [*cfg.CONF.config_file, *(
            path for folder in cfg.CONF.config_dir or ()
            for path in sorted(glob.glob(os.path.join(folder, '*.conf'))))]
    except cfg.NoSuchOptError:
        # A program that uses the driver without cinder-volume.
        return []


def _known_options(name: str) -> set[str]:
    """Return the options of a back end, by their old names, too."""
    known = {*cfg.CONF[name], *cfg.CONF[_SHARED]}
    for option in options.driver_options():
        known |= {option.dest, *(
            old.name.replace('-', '_') for old in option.deprecated_opts
            if old.name)}
    return known


def _unknown(section: Section,
             known: set[str]) -> Iterator[tuple[str, str | None]]:
    """Yield unknown options of a section, and what was likely meant."""
    for option in section:
        if option not in known:
            yield option, next(iter(difflib.get_close_matches(
                option, known, 1, 0.75)), None)


def _sharing(name: str, sections: Mapping[str, Section]) -> \
        Iterator[tuple[str, str]]:
    """Yield other back ends on the VG of one, and what comes of it."""
    enabled = getattr(cfg.CONF, 'enabled_backends', None) or ()
    if name not in enabled:
        return
    for other in enabled:
        if other == name or not all(
                _value(sections, each, 'volume_driver').endswith(
                    '.LVMVolumeDriver') for each in (name, other)):
            continue
        shared = _vg_names(sections, name) & _vg_names(sections, other)
        if not shared:
            continue
        backend_name, lvm_type = (
            [_value(sections, each, option) for each in (name, other)]
            for option in ('volume_backend_name', 'lvm_type'))
        remark = f'{min(shared)}, so that its space is counted twice'
        if backend_name[0] == backend_name[1]:
            remark += ', and the same volume_backend_name'
        if lvm_type[0] != lvm_type[1]:
            remark += ', with another lvm_type'
        yield other, remark


def _vg_names(sections: Mapping[str, Section], name: str) -> set[str]:
    """Return the VGs of a section's pools."""
    vg_name = _value(sections, name, 'volume_group')
    pools = sections.get(name, {}).get('lvm_pool', [])
    return {found[1] if (found := _VG_OF_POOL.search(pool)) else vg_name
            for pool in pools} or {vg_name}


def _value(sections: Mapping[str, Section], name: str, option: str) -> str:
    """Return an option of a section, its shared value, or its default."""
    for each in name, _SHARED:
        if option in sections.get(each, {}):
            return sections[each][option][-1]
    return str(getattr(cfg.CONF[_SHARED], option, None) or '')
