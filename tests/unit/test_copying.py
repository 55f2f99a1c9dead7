# SPDX-License-Identifier: Apache-2.0
"""What dd is told."""

import contextlib
from unittest import mock

from cinder.volume import throttling
import ddt

from cinder_lvm_driver import copying
from cinder_lvm_driver import process
from tests import base

GIB = 2 ** 30


class Throttle:
    """Cinder's bandwidth limit, in place."""

    @contextlib.contextmanager
    def subcommand(self, source, destination):
        yield {'prefix': ['cgexec', '-g', f'blkio:{source}-{destination}']}


@ddt.ddt
class TestCopier(base.TestCase):

    def setUp(self):
        super().setUp()
        self.runner = mock.create_autospec(process.RootwrapRunner)

    def make_copier(self, **settings):
        return copying.Copier(mock.Mock(**{
            'volume_clear': 'zero', 'volume_clear_size': 0,
            'volume_clear_ionice': None, 'dd_blocksize': '1M', **settings}),
            self.runner)

    def assert_ran(self, command):
        self.runner.run_long.assert_called_once_with(*command.split())

    def test_copy(self):
        self.make_copier(dd_blocksize='4M').copy('/a', '/b', 5, sparse=False)
        self.assert_ran('dd if=/a of=/b count=5 bs=4M '
                        'iflag=count_bytes,direct oflag=direct '
                        'conv=nocreat')

    def test_sparse_copy(self):
        self.make_copier().copy('/a', '/b', 5, sparse=True)
        self.assert_ran('dd if=/a of=/b count=5 bs=1M iflag=count_bytes,'
                        'direct oflag=direct conv=nocreat,sparse')

    def test_copy_is_not_a_wipe(self):
        self.make_copier(volume_clear_size=1, volume_clear_ionice='-c3').copy(
            '/a', '/b', GIB, sparse=False)
        self.assert_ran(f'dd if=/a of=/b count={GIB} bs=1M '
                        'iflag=count_bytes,direct oflag=direct '
                        'conv=nocreat')

    def test_wipe(self):
        self.make_copier().wipe('/a', GIB)
        self.assert_ran(f'dd if=/dev/zero of=/a count={GIB} bs=1M '
                        'iflag=count_bytes oflag=direct conv=nocreat')

    @ddt.data((GIB, 8, 8 * 2 ** 20), (2 ** 20, 8, 2 ** 20), (5, 0, 5))
    @ddt.unpack
    def test_wiped_bytes(self, size_bytes, clear_size, wiped_bytes):
        self.make_copier(volume_clear_size=clear_size).wipe('/a', size_bytes)
        self.assertIn(f'count={wiped_bytes}',
                      self.runner.run_long.call_args.args)

    def test_wipe_of_low_priority(self):
        self.make_copier(volume_clear_ionice='-c3').wipe('/a', 5)
        self.assertEqual(('ionice', '-c3', 'dd'),
                         self.runner.run_long.call_args.args[:3])

    @ddt.data(('zero', True), ('none', False))
    @ddt.unpack
    def test_wipes(self, volume_clear, wipes):
        self.assertIs(wipes,
                      self.make_copier(volume_clear=volume_clear).wipes)

    def test_bandwidth_limit(self):
        with mock.patch.object(throttling.Throttle, 'DEFAULT', Throttle()):
            self.make_copier().copy('/a', '/b', 5, sparse=False)
        self.assertEqual(('cgexec', '-g', 'blkio:/a-/b', 'dd'),
                         self.runner.run_long.call_args.args[:4])

    def test_failure(self):
        self.runner.run_long.side_effect = process.CommandFailed(
            ('dd',), 1, '', 'I/O error')
        self.assertRaises(process.CommandFailed, self.make_copier().copy,
                          '/a', '/b', 5, sparse=False)
