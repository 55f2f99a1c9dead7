# SPDX-License-Identifier: Apache-2.0
"""Measures an export beside hundreds of others; see benchmarks/run.

The privileged functions run in this process, without the privsep daemon of a
deployment: this measures the kernel, tgtd, and what the functions read.
"""

import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from unittest import mock

from cinder_lvm_driver import privileged
from cinder_lvm_driver.privileged.chap import Chap
from cinder_lvm_driver.privileged import lio
from cinder_lvm_driver.privileged.listening import Portal
from cinder_lvm_driver.privileged import nvmet
from cinder_lvm_driver.privileged import ownership
from cinder_lvm_driver.privileged import tgt
from tests.functional import tgt_on_daemon

ROUNDS = 5
IQN = 'iqn.2010-10.org.example:{}'
NQN = 'nqn.iqn.2010-10.org.example:-{}'
ID = '11111111-2222-3333-4444-{:012}'
INITIATOR = 'iqn.2001-01.org.example:host'
HOST = 'nqn.2014-08.org.nvmexpress:uuid:' + ID.format(0)
SECRET = 'secret123456'


class Lio:
    name = 'lioadm'
    list_all = staticmethod(lio.list_targets)

    def create(self, number, device):
        lio.create_target(
            target_iqn=IQN.format(number), device=device,
            serial=ID.format(number), portals=[Portal('127.0.0.1', 3260)],
            chap=Chap('name', SECRET), initiators=[INITIATOR], mode='create')

    def attach_and_detach(self, number):
        lio.allow_initiator(
            target_iqn=IQN.format(number), initiator_iqn=INITIATOR,
            chap=Chap('name', SECRET))
        lio.deny_initiator(IQN.format(number), INITIATOR)

    def delete(self, number):
        lio.delete_target(IQN.format(number))


class Nvmet:
    name = 'nvmet'
    list_all = staticmethod(nvmet.list_subsystems)

    def create(self, number, device):
        nvmet.create_subsystem(
            subsystem_nqn=NQN.format(number), device=device,
            uuid=ID.format(number), nsid=10, hosts=[nvmet.Host(HOST)],
            portals=[Portal('127.0.0.1', 4420)], first_port_id=1,
            mode='create')

    def attach_and_detach(self, number):
        nvmet.allow_host(NQN.format(number), nvmet.Host(HOST))
        nvmet.deny_host(NQN.format(number), HOST)

    def delete(self, number):
        nvmet.delete_subsystem(NQN.format(number))


class Tgt:
    name = 'tgtadm'
    list_all = staticmethod(tgt.list_targets)

    def create(self, number, device):
        tgt.create_target(
            target_iqn=IQN.format(number), lld='iscsi', disk=tgt.Disk(
                device, f'volume-{ID.format(number)}', write_cache=True,
                bsoflags='', read_only=False),
            chap=Chap(f'name{number}', SECRET), initiators=[INITIATOR])

    def attach_and_detach(self, number):
        tgt.allow_initiator(
            target_iqn=IQN.format(number), initiator_iqn=INITIATOR,
            chap=Chap(f'name{number}', SECRET))
        tgt.deny_initiator(IQN.format(number), INITIATOR)

    def delete(self, number):
        tgt.delete_target(IQN.format(number))


@contextlib.contextmanager
def devices(count):
    """Yield the paths of devices that read as zeroes.

    Without udev, which would take minutes on an emulated machine.
    """
    names = [f'many-{number}' for number in range(count)]
    dmsetup = ['dmsetup', '--noudevsync', '--noudevrules']
    try:
        subprocess.run(
            [*dmsetup, 'create', '--concise',
             ';'.join(f'{name},LVM-{name},,rw,0 2048 zero' for name in names)],
            check=True)
        numbers = subprocess.run(
            ['dmsetup', 'info', '-c', '--noheadings', '-o', 'minor',
             '-S', 'name=~^many-'], check=True, text=True,
            stdout=subprocess.PIPE).stdout.split()
        yield [f'/dev/dm-{number}' for number in numbers]
    finally:
        subprocess.run([*dmsetup, 'remove', '--retry', *names], check=True)


def measure(helper, device):
    """Return the median seconds of an export's life and of a listing."""
    lives, listings = [], []
    for _ in range(ROUNDS):
        began = time.monotonic()
        helper.create(0, device)
        helper.attach_and_detach(0)
        helper.delete(0)
        ended = time.monotonic()
        helper.list_all()
        lives.append(ended - began)
        listings.append(time.monotonic() - ended)
    return statistics.median(lives), statistics.median(listings)


def compare(helper, paths):
    """Print the seconds of one export alone and beside the others."""
    measure(helper, paths[0])
    alone, _ = measure(helper, paths[0])
    for number, path in enumerate(paths[1:], 1):
        helper.create(number, path)
    beside, listing = measure(helper, paths[0])
    print(f'{helper.name:8} alone {alone:.3f} s, beside {len(paths) - 1} '
          f'{beside:.3f} s, ratio {beside / alone:.1f}; all listed in '
          f'{listing:.3f} s', flush=True)
    for number in range(1, len(paths)):
        helper.delete(number)


def main(others='300'):
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(
            privileged.context, 'client_mode', False))
        ownership.serve_root()
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        stack.enter_context(tgt_on_daemon.running(folder))
        paths = stack.enter_context(devices(int(others) + 1))
        for helper in Lio(), Nvmet(), Tgt():
            compare(helper, paths)
    return 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
