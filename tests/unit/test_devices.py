# SPDX-License-Identifier: Apache-2.0
"""What dd is told."""

import contextlib
from unittest import mock

from cinder.volume import throttling
import ddt
import fixtures

from cinder_lvm_driver import blockdev
from cinder_lvm_driver import devices
from cinder_lvm_driver import process
from tests import base

GIB = 2 ** 30
MIB = 2 ** 20
ATTRIBUTE = devices._attribute


class Clock:
    """Time in which work takes a quarter of a second."""

    def __init__(self):
        self.now = 1000
        self.pauses = []

    def monotonic(self):
        return self.now

    def wait(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds

    def work(self, *argv):
        self.now += 0.25


class Throttle:
    """Cinder's bandwidth limit, in place."""

    bps_limit = 1000

    @contextlib.contextmanager
    def subcommand(self, source, destination):
        yield {'prefix': ['cgexec', '-g', f'blkio:{source}-{destination}']}


@ddt.ddt
class TestDeviceWriter(base.TestCase):

    def setUp(self):
        super().setUp()
        self.runner = mock.create_autospec(process.RootwrapRunner)
        self.attributes = {'queue/write_zeroes_max_bytes': 1}
        self.useFixture(fixtures.MockPatchObject(
            devices, '_attribute',
            lambda _device, name: self.attributes[name]))

    def make_writer(self, **settings):
        return devices.DeviceWriter(mock.Mock(**{
            'volume_clear': 'zero', 'volume_clear_size': 0,
            'volume_clear_ionice': None, 'dd_blocksize': '1M',
            'wipe_rate': 100, **settings}),
            self.runner)

    def assert_ran(self, *commands):
        self.assertEqual(
            [mock.call(*command.split()) for command in commands],
            self.runner.run_long.call_args_list)

    def test_copy(self):
        self.make_writer(dd_blocksize='4M').copy('/a', '/b', 5, sparse=False)
        self.assert_ran('dd if=/a of=/b bs=4M count=5 '
                        'iflag=count_bytes,direct oflag=direct '
                        'conv=nocreat,fsync')

    def test_sparse_copy(self):
        self.make_writer().copy('/a', '/b', 5, sparse=True)
        self.assert_ran('dd if=/a of=/b bs=1M count=5 iflag=count_bytes,'
                        'direct oflag=direct conv=nocreat,fsync,sparse')

    def test_copy_is_not_a_wipe(self):
        self.make_writer(volume_clear_size=1, volume_clear_ionice='-c3').copy(
            '/a', '/b', GIB, sparse=False)
        self.assert_ran(f'dd if=/a of=/b bs=1M count={GIB} '
                        'iflag=count_bytes,direct oflag=direct '
                        'conv=nocreat,fsync')

    @ddt.data((GIB, 0, GIB), (GIB, 8, 8 * MIB), (MIB, 8, MIB))
    @ddt.unpack
    def test_wipe(self, size_bytes, clear_size, wiped_bytes):
        self.attributes['size'] = size_bytes // 512
        self.make_writer(volume_clear_size=clear_size).wipe('/a')
        self.assert_ran(f'blkdiscard --zeroout --offset 0 --length '
                        f'{wiped_bytes} --step {GIB} /a', self.flush(0))

    def flush(self, offset):
        return (f'dd if=/dev/zero of=/a bs=1M count=0 seek={offset} '
                'iflag=count_bytes oflag=seek_bytes,direct '
                'conv=nocreat,fsync')

    def test_end_of_a_device_in_use(self):
        self.attributes['size'] = GIB // 512
        self.make_writer(volume_clear_size=1).zero_from('/a', 5 * MIB)
        self.assert_ran(f'blkdiscard --zeroout --force --offset {5 * MIB} '
                        f'--length {GIB - 5 * MIB} --step {GIB} /a',
                        self.flush(5 * MIB))

    def test_end_that_is_nothing(self):
        self.attributes['size'] = GIB // 512
        self.make_writer().zero_from('/a', GIB)
        self.runner.run_long.assert_not_called()

    def test_disks_that_cannot_write_zeroes(self):
        self.attributes.update({'size': GIB // 512,
                                'queue/write_zeroes_max_bytes': 0})
        self.make_writer(wipe_rate=0).zero_from('/a', MIB)
        self.assert_ran(f'dd if=/dev/zero of=/a bs=1M count={GIB - MIB} '
                        f'seek={MIB} iflag=count_bytes '
                        f'oflag=seek_bytes,direct conv=nocreat,fsync')

    def test_rate(self):
        self.attributes.update({'size': 250 * MIB // 512,
                                'queue/write_zeroes_max_bytes': 0})
        clock = Clock()
        with mock.patch.object(devices, 'time', clock), \
                mock.patch.object(devices.threading, 'Event', lambda: clock):
            self.runner.run_long.side_effect = clock.work
            self.make_writer(wipe_rate=100).wipe('/a')
        self.assertEqual([100, 100, 50], [
            int(call.args[4].removeprefix('count=')) // MIB
            for call in self.runner.run_long.call_args_list])
        self.assertEqual([0.75, 0.75], clock.pauses)

    @ddt.data(0, 1)
    def test_wipe_of_low_priority(self, write_zeroes_max_bytes):
        self.attributes.update({
            'size': 8,
            'queue/write_zeroes_max_bytes': write_zeroes_max_bytes})
        self.make_writer(volume_clear_ionice='-c3').wipe('/a')
        self.assertEqual(('ionice', '-c3'),
                         self.runner.run_long.call_args.args[:2])

    def test_device_that_is_gone(self):
        with mock.patch.object(devices, '_attribute', ATTRIBUTE):
            self.assertRaises(devices.DeviceNotFound, self.make_writer().wipe,
                              '/dev/nowhere')

    @ddt.data(0, 1)
    def test_path_that_leads_to_another_lv(self, write_zeroes_max_bytes):
        self.attributes.update({
            'size': 8,
            'queue/write_zeroes_max_bytes': write_zeroes_max_bytes})
        writer = self.make_writer()
        with mock.patch.object(blockdev, 'why_not_lv',
                               {'/dev/vg/a': 'leads to vg-b'}.get):
            for write in (
                    lambda: writer.wipe('/dev/vg/a'),
                    lambda: writer.zero_from('/dev/vg/a', 0),
                    lambda: writer.copy('/dev/vg/a', '/dev/vg/c', 5,
                                        sparse=False),
                    lambda: writer.copy('/dev/vg/c', '/dev/vg/a', 5,
                                        sparse=False),
                    lambda: writer.write_image('/i', 'raw', '/dev/vg/a')):
                error = self.assertRaises(devices.DeviceNotFound, write)
                self.assertEqual('/dev/vg/a leads to vg-b: create the node '
                                 'again with vgmknodes', str(error))
        self.runner.run_long.assert_not_called()
        self.runner.run_unprivileged.assert_not_called()

    @ddt.data(('zero', True), ('none', False))
    @ddt.unpack
    def test_wipes(self, volume_clear, wipes):
        self.assertIs(wipes,
                      self.make_writer(volume_clear=volume_clear).wipes)

    def test_bandwidth_limit(self):
        with mock.patch.object(throttling.Throttle, 'DEFAULT', Throttle()):
            self.make_writer().copy('/a', '/b', 5, sparse=False)
            self.make_writer().write_image('/a', 'raw', '/b')
        self.assertEqual(
            ('cgexec', '-g', 'blkio:/a-/b', 'dd'),
            self.runner.run_long.call_args.args[:4])
        self.assertIn('-t none -r 1000 -O raw', ' '.join(
            self.runner.run_unprivileged.call_args.args))

    def test_image(self):
        self.make_writer().write_image('/image', 'qcow2', '/device')
        self.runner.run_unprivileged.assert_called_once_with(
            *'prlimit --as=4294967296 qemu-img convert -n --target-is-zero '
            '-t none -O raw -f qcow2 /image /device'.split())

    def test_failure(self):
        self.runner.run_long.side_effect = process.CommandFailed(
            ('dd',), 1, '', 'I/O error')
        self.assertRaises(process.CommandFailed, self.make_writer().copy,
                          '/a', '/b', 5, sparse=False)
