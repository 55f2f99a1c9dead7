# SPDX-License-Identifier: Apache-2.0
"""How long operations take, counted in a file."""

import inspect
import os
import threading
from unittest import mock

import fixtures

from cinder_lvm_driver import driver
from cinder_lvm_driver import timings
from tests import base
from tests.fakes import backend


class Busy(Exception):
    """Something is in use."""


class TestTimings(base.TestCase):

    def setUp(self):
        super().setUp()
        self.path = timings.path_of(
            self.useFixture(fixtures.TempDir()).path, 'one')
        self.timings = timings.Timings(self.path)

    def take(self, seconds, error=None, operation='create_volume'):
        """Count an operation that takes some seconds."""
        with (mock.patch.object(timings.time, 'monotonic',
                                side_effect=[10.0, 10.0 + seconds]),
              self.timings.measure(operation, (Busy,))):
            if error is not None:
                raise error

    def read(self):
        return {(each.operation, each.outcome): (
            {timings.BOUNDS[number] if number < len(timings.BOUNDS) else None:
             count for number, count in enumerate(each.counts) if count},
            each.seconds) for each in timings.read(self.path)}

    def test_no_file_before_the_first_operation(self):
        self.assertEqual([], timings.read(self.path))
        self.assertFalse(os.path.exists(self.path))

    def test_buckets(self):
        for seconds in 0.1, 0.25, 0.3, 7200, 7201:
            self.take(seconds)
        self.assertEqual({('create_volume', 'success'): (
            {0.25: 2, 0.5: 1, 7200: 1, None: 1}, 14401.65)}, self.read())

    def test_outcomes(self):
        self.take(1)
        self.assertRaises(Busy, self.take, 2, Busy())
        self.assertRaises(OSError, self.take, 4, OSError())
        self.take(8, operation='delete_volume')
        self.assertEqual(
            {('create_volume', 'success'): ({1.0: 1}, 1.0),
             ('create_volume', 'busy'): ({2.5: 1}, 2.0),
             ('create_volume', 'failure'): ({5.0: 1}, 4.0),
             ('delete_volume', 'success'): ({10.0: 1}, 8.0)}, self.read())

    def test_restart(self):
        self.take(1)
        self.take(1, operation='delete_volume')
        self.timings = timings.Timings(self.path)
        self.take(2, operation='delete_volume')
        self.take(2, operation='extend_volume')
        self.assertEqual(
            {('create_volume', 'success'): ({1.0: 1}, 1.0),
             ('delete_volume', 'success'): ({1.0: 1, 2.5: 1}, 3.0),
             ('extend_volume', 'success'): ({2.5: 1}, 2.0)}, self.read())

    def test_end_of_the_service(self):
        """An operation that is interrupted has failed."""
        self.assertRaises(KeyboardInterrupt, self.take, 1,
                          KeyboardInterrupt())
        self.assertEqual({('create_volume', 'failure'): ({1.0: 1}, 1.0)},
                         self.read())

    def test_threads(self):
        def count():
            for _ in range(200):
                with self.timings.measure('create_volume', ()):
                    pass

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (counts, _seconds), = self.read().values()
        self.assertEqual(800, sum(counts.values()))

    def test_folder_that_cannot_be_written(self):
        self.timings = timings.Timings('/dev/null/one.timings')
        for _ in range(2):
            self.take(1)
        self.assertEqual(1, self.log.output.count('cannot be written'))

    def test_nobody_else_can_write(self):
        umask = os.umask(0)
        self.addCleanup(os.umask, umask)
        self.take(1)
        for path in self.path, os.path.dirname(self.path):
            self.assertFalse(os.stat(path).st_mode & 0o022)

    def test_file_of_another_version(self):
        self.take(1)
        with open(self.path, 'a') as file:
            file.write('delete_volume success 1 2 0.5\n\xff\n')
        self.timings = timings.Timings(self.path)
        self.take(1)
        self.assertEqual({('create_volume', 'success'): ({1.0: 2}, 2.0)},
                         self.read())

    def test_write_that_is_cut_off(self):
        """All lines keep their places, with more digits, too."""
        self.take(1)
        self.take(7201, operation='delete_volume')
        with open(self.path) as file:
            before = [*map(len, file)]
        for _ in range(20):
            self.take(7201)
        with open(self.path) as file:
            self.assertEqual(before, [*map(len, file)])


class TestDriver(backend.DriverTestCase):

    def test_operations_are_counted(self):
        self.create()
        path = timings.path_of(self.config.conf.state_path,
                               self.driver.configuration.config_group)
        self.assertEqual(
            [('create_volume', 'success')],
            [(each.operation, each.outcome) for each in timings.read(path)])

    def test_names_and_signatures(self):
        for name in driver._OPERATIONS:
            method = getattr(driver.LVMVolumeDriver, name)
            self.assertEqual(name, method.__name__)
            self.assertIn('self', inspect.signature(method).parameters)
            self.assertLessEqual(len(name), 40)
