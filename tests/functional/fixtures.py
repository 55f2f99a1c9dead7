# SPDX-License-Identifier: Apache-2.0
"""Loop devices and VGs that last as long as one test."""

import contextlib
import os

MIB = 2 ** 20
_FOLDER = '/var/tmp/cinder-lvm-driver'


def path_of(name):
    """Return the file that a loop device is on."""
    return os.path.join(_FOLDER, name)


@contextlib.contextmanager
def loop_device(root, name, size_bytes, *, direct=True):
    """Give a loop device over a sparse file on the test machine's disk.

    :param direct: past the page cache, which is twice as fast, but for the
        small pieces that dm-snapshot copies
    """
    path = path_of(name)
    root.run('truncate', '-s', size_bytes, path)
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(root.run, 'rm', '-f', path)
        device = root.run(
            'losetup', '--direct-io=' + ('on' if direct else 'off'),
            '--find', '--show', path).strip()
        cleanup.callback(root.run, 'losetup', '-d', device)
        yield device


@contextlib.contextmanager
def volume_group(root, name, pv_sizes, *, direct=True, options=()):
    """Give a VG over loop devices; nothing of it is left behind.

    udev activates the LVs of a VG when it first sees all its PVs, which on a
    slow machine may be while a test has them deactivated: not these.

    :param direct: see ``loop_device``
    :param options: more of vgcreate's
    """
    with contextlib.ExitStack() as cleanup:
        devices = [
            cleanup.enter_context(loop_device(root, f'{name}-{n}', size,
                                              direct=direct))
            for n, size in enumerate(pv_sizes)]
        root.run('vgcreate', '-qq', '--setautoactivation', 'n', '--devices',
                 ','.join(devices), *options, name, *devices)
        cleanup.callback(_remove, root, name)
        yield name


@contextlib.contextmanager
def volume_group_to_break(root, name):
    """Give a VG on a loop device and on the device-mapper device of its name.

    :returns: the size of the latter in sectors, and its table, which a test
        may replace
    """
    with contextlib.ExitStack() as stack:
        good, bad = (stack.enter_context(loop_device(
            root, f'{name}-{n}', 128 * MIB)) for n in 'ab')
        # LVM would find the PV on the loop device, too, if it began there.
        sectors = 127 * MIB // 512
        linear = f'0 {sectors} linear {bad} {MIB // 512}'
        root.run('dmsetup', 'create', name, '--table', linear)
        stack.callback(root.run, 'dmsetup', 'remove', '--retry', name)
        root.run('vgcreate', '-qq', name, good, f'/dev/mapper/{name}')
        stack.callback(root.run, 'vgremove', '-ff', '-y', name)
        yield sectors, linear


def _remove(root, name):
    """Remove a VG with whatever a failed test left in it."""
    done = root.try_run('vgremove', '-ff', '-y', name)
    if done.code and 'not found' not in done.stderr:
        raise AssertionError(f'VG {name} cannot be removed: {done.stderr}')
