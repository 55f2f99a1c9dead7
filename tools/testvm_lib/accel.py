# SPDX-License-Identifier: Apache-2.0
"""Whether this machine's KVM really answers.

/dev/kvm may be there, open and create a machine, and the guest's kernel
hang all the same.  So it is tried, once per boot of this machine.
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
    """Return whether a tiny machine boots and says a word in time.

    :param image: the kernel to boot
    :param folder: where to put a temporary file
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
    """Return what is different after each boot of this machine."""
    with open('/proc/sys/kernel/random/boot_id', encoding='ascii') as file:
        return file.read().strip()


def choose(wanted: str, folder: str, kernel: kernels.Kernel,
           reporter: report.Reporter) -> str:
    """Return ``kvm`` or ``tcg``.

    :param wanted: the option --accel
    :param folder: the cache folder, whose lock the caller holds
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
    reporter.say(f'trying KVM, for {TRIAL_SECONDS:.0f} seconds at most')
    found = 'kvm' if answers(kernel.image, folder) else 'tcg'
    reporter.say('KVM works' if found == 'kvm' else
                 'KVM does not answer here; emulating in software')
    for old in glob.glob(os.path.join(glob.escape(folder), 'accel-*')):
        os.unlink(old)
    cache.write_file(remembered, found.encode())
    return found
