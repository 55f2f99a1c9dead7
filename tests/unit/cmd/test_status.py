# SPDX-License-Identifier: Apache-2.0
"""The screen that shows the back ends."""

import argparse
import contextlib
import json
from unittest import mock

from cinder_lvm_driver.cmd import status
from cinder_lvm_driver.cmd import survey
from cinder_lvm_driver import timings
from tests.unit.cmd import base

GIB = base.GIB


class TestStatus(base.CommandTestCase):

    def status(self, **form):
        return self.printed(status.run, argparse.Namespace(
            **{'backend': None, 'json': False, 'watch': False, **form}))

    def fill(self):
        self.add_thin_volume()
        self.lvm.add('root', GIB)

    def test_screen(self):
        self.fill()
        name = self.enable()
        with mock.patch.object(survey, 'exports_of', return_value=(
                survey.Export(lv_name=base.VOLUME, target='iqn:a', hosts=2,
                              sessions=1),)):
            code, lines = self.status()
        self.assertEqual(0, code)
        self.assertRegex(lines[0], rf'^{name} \(.*\): up$')
        screen = [' '.join(line.split()) for line in lines]
        for line in ('backend vg thin in pool vg-pool 80.00 39.20 11.00 up',
                     'Thin pool vg-pool [##########..........] 51.0 % '
                     'of 80.00 GiB',
                     'metadata [#...................] 4.0 % of 0.00 GiB',
                     'volume thin 1 10.00', 'other linear 1 1.00',
                     'pool thin-pool 1 80.00',
                     f'{base.VOLUME} iqn:a 2 1'):
            self.assertIn(line, screen)
        self.assertFalse(any(line.startswith('To do') for line in screen))

    def test_inactive_pool(self):
        self.lvm.add('vg-pool', 80 * GIB, segtype='thin-pool', active=False,
                     reported={'data_percent': '', 'metadata_percent': ''})
        self.enable()
        code, lines = self.status()
        self.assertEqual(2, code)
        self.assertIn('DOWN', lines[0])
        self.assertIn('activate it with lvchange', lines[1])
        self.assertIn('inactive', '\n'.join(lines[2:]))

    def test_work(self):
        self.lvm.add('cinder-wipe-0123456789ab-0a1b2c3d', GIB)
        self.enable(lvm_type='default')
        _code, lines = self.status()
        self.assertIn('wipe and remove  cinder-wipe-0123456789ab-0a1b2c3d  '
                      '1.00   -       -', '\n'.join(lines))

    def test_failures(self):
        name = self.enable(lvm_type='default')
        path = timings.path_of(status.survey.cfg.CONF.state_path, name)
        counted = timings.Timings(path)
        for _ in range(2):
            with contextlib.suppress(OSError), counted.measure('x', ()):
                raise OSError
        code, lines = self.status()
        self.assertEqual(0, code)
        self.assertIn('x            2', lines[-1])

    def test_json(self):
        self.fill()
        name = self.enable()
        code, lines = self.status(json=True)
        self.assertEqual(0, code)
        seen, = json.loads('\n'.join(lines))['backends']
        pool, = seen['pools']
        vg, = seen['volume_groups']
        self.assertEqual((name, True, 80 * GIB, 51.0, 10 * GIB), (
            seen['name'], seen['is_up'], pool['total_bytes'],
            vg['thin_pools'][0]['data_percent'],
            next(each['size_bytes'] for each in vg['logical_volumes']
                 if each['kind'] == 'volume')))

    def test_json_of_a_back_end_that_is_down(self):
        self.enable(volume_group='nope')
        code, lines = self.status(json=True)
        self.assertEqual(2, code)
        seen, = json.loads('\n'.join(lines))['backends']
        self.assertIn('VG nope was not found', seen['pools'][0]['fault'])
        self.assertEqual([], seen['volume_groups'])

    def test_back_end_without_pools(self):
        self.enable(volume_clear_ionice='-c9')
        code, lines = self.status()
        self.assertEqual((2, 2), (code, len(lines)), lines)

    def test_watch(self):
        """Until the user interrupts it."""
        self.enable()
        with mock.patch.object(status.threading, 'Event') as event:
            event.return_value.wait.side_effect = [None, KeyboardInterrupt]
            self.assertRaises(KeyboardInterrupt, self.status, watch=True)
        self.assertEqual([mock.call(status._SECONDS)] * 2,
                         event.return_value.wait.mock_calls)

    def test_nothing_to_show(self):
        self.config.config(enabled_backends=None)
        code, lines = self.status()
        self.assertEqual(2, code)
        self.assertIn('No enabled back end', lines[0])
