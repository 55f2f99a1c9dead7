# SPDX-License-Identifier: Apache-2.0
"""Tests whether KVM works on this machine.

/dev/kvm may exist and create machines whose kernel hangs. Therefore testvm
boots a tiny machine, once per boot of this machine.
"""

import glob
import os
import subprocess
import tempfile

from testvm_lib import cache
from testvm_lib import initramfs
from testvm_lib import kernel as kernels
from testvm_lib import machine
from testvm_lib import processes
from testvm_lib import report

DEVICE = '/dev/kvm'
TRIAL_SECONDS = 10.0
WORD = b'testvm-answers'


def answers(image: str, folder: str, accel: str = 'kvm',
            seconds: float = TRIAL_SECONDS) -> bool:
    """Return whether a tiny machine boots in time.

    :param image: the kernel to boot
    :param folder: for a temporary file
    """
    with tempfile.NamedTemporaryFile(prefix='.trial.', dir=folder) as file:
        file.write(initramfs.trial(WORD.decode()))
        file.flush()
        command = machine.basic(accel, image, file.name)
        command += ['-m', '256M', '-machine', 'pc,usb=off',
                    '-serial', 'stdio', '-monitor', 'none']
        process = processes.start(command, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL)
        try:
            output = process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            return False
        finally:
            processes.end(process)
    return WORD in output


def _boot_id() -> str:
    """Return the boot ID of this machine, see random(4)."""
    with open('/proc/sys/kernel/random/boot_id', encoding='ascii') as file:
        return file.read().strip()


def choose(wanted: str, folder: str, kernel: kernels.Kernel,
           reporter: report.Reporter) -> str:
    """Return ``kvm`` or ``tcg``.

    :param wanted: the option --accel
    :param folder: the cache folder; the caller holds its lock
    """
    if wanted != 'auto':
        return wanted
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return 'tcg'
    remembered = os.path.join(folder, f'accel-{_boot_id()}')
    try:
        with open(remembered, encoding='ascii') as file:
            known = file.read()
        if known in ('kvm', 'tcg'):
            return known
    except FileNotFoundError:
        pass
    reporter.say(f'testing KVM, for at most {TRIAL_SECONDS:.0f} seconds')
    found = 'kvm' if answers(kernel.image, folder) else 'tcg'
    reporter.say('KVM works' if found == 'kvm' else
                 'KVM does not work here; emulating in software')
    for old in glob.glob(os.path.join(glob.escape(folder), 'accel-*')):
        os.unlink(old)
    cache.write_file(remembered, found.encode())
    return found
