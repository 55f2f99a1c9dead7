# SPDX-License-Identifier: Apache-2.0
"""Every command that this driver runs as root, in its exact form.

The rootwrap daemon of this driver runs a command only if it has one of these
forms, and names VGs and devices that belong to this driver. Options of LVM
that are not here give root to the user: ``--config`` sets the programs that
LVM runs (lvm.conf(5)), as do profiles and another ``LVM_SYSTEM_DIR``.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
import functools
import os
import re

from cinder_lvm_driver import blockdev
from cinder_lvm_driver import naming
from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import ownership
from cinder_lvm_driver.privileged import validation

PROGRAMS = ('env', 'dd', 'blkdiscard', 'ionice', 'cgexec', 'modprobe',
            'mount', 'ss')

# One form a line. {...} stands for one word, see _words(), and {...}* for one
# or more. LVM gets its common options after its name.
_LVM = '''
lvs {form} -o {fields} {vg}
lvs {form} -o {fields} -S {selection} {vg}
lvs {form} --all -o {fields} -S {selection} {vg}
vgs {form} -o {fields} {vg}
vgs --foreign --shared {form} -o {fields}
lvcreate --yes --type thin-pool --zero y --extents {number} --name {lv} {vg}
lvcreate --yes --wipesignatures y --size {bytes} --name {lv} {vg}
lvcreate --yes --wipesignatures y {shape} --size {bytes} --name {lv} {vg}
lvcreate --yes --wipesignatures y {shape} --size {bytes} --name {lv} {vg} \
{path}*
lvcreate --type thin --virtualsize {bytes} --name {lv} --thinpool {lv} {vg}
lvcreate --yes --snapshot --size {bytes} --name {lv} {vg/lv}
lvcreate --yes --snapshot --size {bytes} --name {lv} {vg/lv} {extents}*
lvcreate --snapshot --permission {mode} --setactivationskip {switch} \
--name {lv} {vg/lv}
lvcreate --snapshot --permission {mode} --setactivationskip {switch} \
--addtag {tag} --name {lv} {vg/lv}
lvextend --size {bytes} {vg/lv}
lvextend --use-policies {vg/lv}
lvextend --extents +{number} {vg/lv}
lvreduce --force --size {bytes} {vg/lv}
lvreduce --force --fs ignore --size {bytes} {vg/lv}
lvremove --version
lvremove --force {vg/lv}
lvremove --force {vg/lv} --select vg_missing_pv_count=0
lvrename {vg} {lv} {lv}
lvconvert --yes --splitsnapshot {vg/lv}
lvconvert --yes --merge --interval 1 @{tag}
lvconvert --yes --type raid1 {vg/lv}
lvconvert --yes --type raid1 --mirrors {number} {vg/lv}
lvconvert --yes --splitmirrors 1 --name {lv} {vg/lv}
lvconvert --yes --mirrors 0 {vg/lv}
lvchange --permission {mode} {vg/lv}
lvchange --permission {mode} {vg/lv} --select vg_missing_pv_count=0
lvchange --permission r --setactivationskip y {vg/lv}
lvchange --addtag {tag} {vg/lv}
lvchange --addtag {tag} {vg/lv} --select vg_missing_pv_count=0
lvchange --deltag {tag} {vg/lv}*
lvchange --deltag {tag} {vg/lv}* --select vg_missing_pv_count=0
lvchange --activate n {vg/lv}
lvchange --yes --activate y --poll y {vg/lv}
lvchange --yes --activate y --ignoreactivationskip {vg/lv}*
lvchange --refresh {vg/lv}
lvchange --refresh --select lv_active=active {vg}
vgmknodes {vg/lv}*
'''
_DATA = '''
dd if={device} of={device} bs={size} count={number} \
iflag=count_bytes,direct oflag=direct conv=nocreat,fsync
dd if={device} of={device} bs={size} count={number} \
iflag=count_bytes,direct oflag=direct conv=nocreat,fsync,sparse
dd if=/dev/zero of={device} bs={size} count={number} seek={number} \
iflag=count_bytes oflag=seek_bytes,direct conv=nocreat,fsync
blkdiscard --zeroout --offset {number} --length {number} --step {number} \
{device}
blkdiscard --zeroout --force --offset {number} --length {number} \
--step {number} {device}
'''
_OTHER = '''
modprobe {module}
mount -t configfs configfs /sys/kernel/config
ss -Hltnp {port}
'''
_END = '\0'
_PATH = '/dev(?:/[A-Za-z0-9_+.#@%:=-]+)+'
# The same as re.escape() spells it.
_ESCAPED_PATH = r'/dev(?:/(?:[A-Za-z0-9_@%:=]|\\[+.#-])+)+'
_RANGE = ':[0-9]+-[0-9]+'
# What --config may set, on any LVM that this driver supports.
_SETTING = '|'.join((
    'report/[a-z_]+=(?:0|""|",")', 'log/command_names=0', 'log/prefix="  "',
    'log/silent=0', r'backup\{archive=0\}',
    r'activation\{retry_deactivation=1\}',
    r'activation\{thin_pool_autoextend_threshold=[0-9]+ '
    r'thin_pool_autoextend_percent=[0-9]+\}',
    rf'devices\{{filter=\[(?:"a\|\^{_ESCAPED_PATH}\$\|",)+"r\|\.\*\|"\]\}}'))
_OPTIONS = (rf'(?:\0--devices\0{_PATH}(?:,{_PATH})*)?'
            rf'(?:\0--config\0(?:{_SETTING})(?: (?:{_SETTING}))*)?')
# Not below /proc: LVM could see other files there than this process does.
_ENVIRONMENT = (r'env\0LC_ALL=C\0LVM_SUPPRESS_FD_WARNINGS=1\0LVM_SYSTEM_DIR='
                r'(?P<system_dir>(?!/proc/)(?:/(?!\.)[^/\0]+)+)\0')
_PRIORITY = (r'(?:cgexec\0-g\0blkio:[A-Za-z0-9_-]+\0)?'
             r'(?:ionice\0-c[0-3]\0(?:-n[0-7]\0)?)?')
_WORDS = {
    'form': r'--reportformat\0json\0--units\0b\0--nosuffix',
    'fields': '[a-z_,]+',
    'selection': f'(?:lv_role=spare|lv_name="{naming.LVM_NAME}"'
                 r'(?: \|\| segtype="thin-pool")?)',
    'lv': naming.LVM_NAME,
    'shape': r'--type\0(?:striped|raid1|raid10|raid5|raid6)'
             r'(?:\0--mirrors\0[0-9]+)?(?:\0--stripes\0[0-9]+)?',
    'number': '[0-9]+',
    'bytes': '-?[0-9]+b',
    'size': '[0-9]+[KMG]?',
    'mode': 'rw?',
    'switch': '[yn]',
    'tag': '(?:%s)[A-Za-z0-9+_.-]+' % '|'.join(map(re.escape, naming.TAGS)),
    'path': _PATH,
    'extents': _PATH + _RANGE,
    'device': _PATH,
    'module': '(?:target_core_mod|iscsi_target_mod|nvmet(?:_tcp|_rdma)?)',
    'port': 'sport = :[0-9]+',
}
_PLACEHOLDER = re.compile(r'\{([a-z/]+)\}(\*?)')
_LVM_CONFIGURATION = ('lvm.conf', 'lvmlocal.conf', 'profile')


def is_allowed(argv: Sequence[str], vg_names: Collection[str]) -> bool:
    """Return whether root runs a command for this driver.

    :param vg_names: the VGs of this driver
    """
    if any(_END in word for word in argv):
        return False
    lvm, data, other = _patterns(frozenset(vg_names))
    text = _END.join(argv)
    if found := lvm.fullmatch(text):
        return (is_configuration_of_root(found['system_dir'])
                and not any(_can_hold_any_pv(path, vg_names)
                            for path in _pvs(argv)))
    if data.fullmatch(text):
        return all(map(_is_own_lv, _devices(argv)))
    return other.fullmatch(text) is not None


@functools.cache
def _patterns(vg_names: frozenset[str]) -> tuple[
        re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """Return the forms of LVM, of data and others, with words joined."""
    vg = '(?:%s)' % ('|'.join(map(re.escape, vg_names)) or '(?!)')
    words = {**_WORDS, 'vg': vg, 'vg/lv': f'{vg}/{naming.LVM_NAME}'}

    def pattern(form: str) -> str:
        parts = _PLACEHOLDER.split(form.replace(' ', _END))
        return ''.join(
            re.escape(literal) + _repeated(words[name], star)
            for literal, name, star in zip(
                parts[::3], parts[1::3], parts[2::3], strict=False)
        ) + re.escape(parts[-1])

    def choice(forms: Iterable[str]) -> str:
        return '(?:%s)' % '|'.join(forms)

    return (
        re.compile(_ENVIRONMENT + choice(
            program + _OPTIONS + _END + pattern(rest)
            for program, _, rest in (
                form.partition(' ') for form in _LVM.strip().splitlines()))),
        re.compile(_PRIORITY + choice(
            map(pattern, _DATA.strip().splitlines()))),
        re.compile(choice(map(pattern, _OTHER.strip().splitlines()))))


def _repeated(word: str, star: str) -> str:
    return f'{word}(?:{_END}{word})*' if star else word


def is_configuration_of_root(folder: str) -> bool:
    """Return whether only root can change LVM's configuration in a folder."""
    return all(ownership.is_only_roots(f'{folder}/{name}')
               for name in _LVM_CONFIGURATION)


def _pvs(argv: Sequence[str]) -> Iterator[str]:
    """Yield the paths that LVM is to use."""
    for word in argv:
        if word.startswith('/dev/'):
            yield from re.sub(f'{_RANGE}$', '', word).split(',')
        for text in re.findall(rf'\^({_ESCAPED_PATH})\$', word):
            yield re.sub(r'\\(.)', r'\1', text)


def _can_hold_any_pv(path: str, vg_names: Collection[str]) -> bool:
    """Return whether this driver's user decides what LVM finds on a path.

    The metadata of a PV that is crafted on a volume can name extents of other
    disks.
    """
    try:
        validation.device_path(path)
    except errors.InvalidArgument:
        return True
    folder, name = os.path.split(path)
    if blockdev.number(path) is None:
        # An LV that is activated before LVM looks must not appear there.
        if folder == '/dev/mapper':
            return naming.vg_name(name) in vg_names
        return folder != '/dev' or name.startswith('dm-')
    return not ownership.is_only_roots(folder) or ownership.is_own_lv(path)


def _devices(argv: Sequence[str]) -> Iterator[str]:
    for word in argv:
        path = word.removeprefix('if=').removeprefix('of=')
        if path.startswith('/dev/') and word != 'if=/dev/zero':
            yield path


def _is_own_lv(path: str) -> bool:
    try:
        validation.device(path)
    except (errors.InvalidArgument, errors.DeviceNotUsable):
        return False
    return True
