# SPDX-License-Identifier: Apache-2.0
"""What Prometheus is told."""

import argparse
import os
import pathlib
import re
from unittest import mock

import fixtures
from prometheus_client import parser

from cinder_lvm_driver.cmd import metrics
from cinder_lvm_driver.cmd import survey
from cinder_lvm_driver import lvm
from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver import timings
from tests.unit.cmd import base

ROOT = pathlib.Path(__file__).parents[3]
GIB = base.GIB


class TestMetrics(base.CommandTestCase):

    def report(self, **place):
        return self.printed(metrics.run, argparse.Namespace(
            **{'backend': None, 'listen': None, 'textfile': None, **place}))

    def values(self):
        """Return the value of each sample, by name and labels."""
        code, lines = self.report()
        self.assertEqual(0, code)
        return {(sample.name.removeprefix('cinder_lvm_'), *(
            value for label, value in sorted(sample.labels.items())
            if label != 'backend')): sample.value
            for family in parser.text_string_to_metric_families(
                '\n'.join(lines) + '\n') for sample in family.samples}

    def test_thin(self):
        self.add_thin_volume()
        self.enable()
        values = self.values()
        for key, value in {
                ('up', 'backend'): 1, ('capacity_bytes', 'backend'): 80 * GIB,
                ('provisioned_bytes', 'backend'): 10 * GIB,
                ('vg_size_bytes', 'vg'): 100 * GIB,
                ('pvs', 'present', 'vg'): 1, ('pvs', 'missing', 'vg'): 0,
                ('thin_pool_size_bytes', 'vg-pool', 'vg'): 80 * GIB,
                ('thin_pool_data_used_ratio', 'vg-pool', 'vg'): 0.51,
                ('thin_pool_metadata_used_ratio', 'vg-pool', 'vg'): 0.04,
                ('lvs', 'volume', 'thin', 'vg'): 1,
                ('lvs_size_bytes', 'volume', 'thin', 'vg'): 10 * GIB,
                ('lvs_unhealthy', 'vg'): 0,
                ('wipe_backlog_bytes', 'vg'): 0}.items():
            self.assertEqual(value, values[key], key)
        # The target helper of this test does not tell.
        self.assertNotIn(('exports',), values)

    def test_thick(self):
        self.lvm.pvs['/dev/b'] = 100 * GIB
        self.lvm.add('cinder-wipe-0123456789ab-0a1b2c3d', GIB)
        self.lvm.add('a', GIB, segtype='raid1')
        self.enable(lvm_type='default')
        with mock.patch.object(lvm.LVM, 'get_synchronization',
                               lambda vg: {'a': 25}):
            values = self.values()
        for key, value in {
                ('wipe_backlog_bytes', 'vg'): GIB,
                ('synchronized_ratio', 'a', 'vg'): .25,
                ('pending', 'vg', 'wipe and remove'): 1,
                ('pending', 'vg', 'synchronize copies'): 1}.items():
            self.assertEqual(value, values[key], key)

    def test_down(self):
        self.enable(volume_group='nope')
        self.assertEqual({('up', 'backend'): 0}, self.values())

    def test_no_pools(self):
        self.enable(volume_clear_ionice='-c9')
        self.assertEqual({('up', ''): 0}, self.values())

    def test_exports(self):
        self.enable(lvm_type='default')
        for sessions, expected in ((1, 2), 3), ((None, None), None):
            with mock.patch.object(survey, 'exports_of', return_value=[
                    survey.Export(lv_name='a', target='b', hosts=0,
                                  sessions=each) for each in sessions]):
                values = self.values()
            self.assertEqual(2, values['exports',])
            self.assertEqual(expected, values.get(('sessions',)))

    def test_operations(self):
        name = self.enable(lvm_type='default')
        counted = timings.Timings(timings.path_of(
            self.config.conf.state_path, name))
        for seconds in 0.3, 2, 9000:
            with (mock.patch.object(timings.time, 'monotonic',
                                    side_effect=[0, seconds]),
                  counted.measure('create_volume', ())):
                pass
        values = self.values()
        prefix = 'operation_duration_seconds'
        key = 'create_volume', 'success'
        self.assertEqual(3, values[f'{prefix}_count', *key])
        self.assertEqual(9002.3, values[f'{prefix}_sum', *key])
        for bound, count in ('0.25', 0), ('0.5', 1), ('2.5', 2), ('+Inf', 3):
            self.assertEqual(count, values[f'{prefix}_bucket', bound, *key])

    def test_textfile(self):
        self.enable(lvm_type='default')
        path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'x.prom')
        self.assertEqual((0, []), self.report(textfile=path))
        self.assertIn('cinder_lvm_up{backend=', pathlib.Path(path).read_text())

    def test_file_that_cannot_be_written(self):
        self.enable(lvm_type='default')
        code, lines = self.report(textfile='/nowhere/x.prom')
        self.assertEqual(2, code)
        self.assertIn('/nowhere/x.prom', lines[0])

    def test_listen(self):
        self.enable(lvm_type='default')
        with (mock.patch.object(metrics.prometheus_client,
                                'start_http_server') as start,
              mock.patch.object(metrics.threading, 'Event') as event):
            event.return_value.wait.side_effect = KeyboardInterrupt
            self.assertRaises(KeyboardInterrupt, self.report,
                              listen=listening.Portal('::1', 9838))
        start.assert_called_once_with(9838, '::1', mock.ANY)

    def test_address(self):
        self.assertEqual(listening.Portal('::1', 9838),
                         metrics._portal('[::1]:9838'))
        self.assertRaises(argparse.ArgumentTypeError, metrics._portal, '9838')

    def test_nothing_to_report(self):
        self.config.config(enabled_backends=None)
        self.assertEqual(2, self.report()[0])


class TestShippedFiles(base.CommandTestCase):
    """The alerts and the dashboard use metrics that exist."""

    def test_names(self):
        known = {f'cinder_lvm_{name}' for name in metrics._GAUGES}
        known |= {f'cinder_lvm_operation_duration_seconds_{part}'
                  for part in ('bucket', 'count', 'sum')}
        folder = ROOT / 'etc'
        for path in ('prometheus/cinder-lvm.rules.yml',
                     'grafana/cinder-lvm.json'):
            used = set(re.findall(r'\bcinder_lvm_\w+',
                                  (folder / path).read_text()))
            self.assertTrue(used)
            self.assertEqual(set(), used - known, path)

    def test_manual(self):
        """It has a row for each metric, with its labels."""
        page = (ROOT / 'doc/source/admin/monitoring.rst').read_text()
        rows = page.partition('.. list-table::')[2].split('\n   * - ')[2:]
        found = {}
        for row in rows:
            names, labels, _meaning = (re.findall('``(.+?)``', cell)
                                       for cell in row.split('\n     -'))
            found.update({name: tuple(labels) for name in names})
        self.assertEqual(
            {**{name: labels for name, (_, labels) in metrics._GAUGES.items()},
             'operation_duration_seconds': ('operation', 'outcome')}, found)
