# SPDX-License-Identifier: Apache-2.0
"""tools/bench: options, plan, figures and tables."""

import importlib
import inspect
import json
import os
from unittest import mock

import fixtures
import testtools

from bench_lib import figures
from bench_lib import launch
from bench_lib import plan
from bench_lib import tables
from cloud_lib import errors
from cloud_lib import programs


def _row(subject, values, **more):
    return {'what': 'clone', 'subject': subject, 'beside': 100, 'unit': 's',
            'values': values, **more}


_RESULTS = {'verbs-100': {
    'facts': {'Linux': '6.12', 'LVM': '2.03.16'},
    'arguments': {'others': 100},
    'rows': [_row('this driver', [2.0, 3.0, 4.0], processes=[2, 2, 2],
                  pythons=[0, 0, 0]),
             _row('in-tree', [30.0], processes=[12], pythons=[4]),
             _row('bare', [2.5, 2.5], processes=[2, 2], pythons=[0, 0])]}}


class TestPlan(testtools.TestCase):

    def test_names_are_unique(self):
        names = [run.name for run in plan.RUNS]
        self.assertEqual(sorted(set(names)), sorted(names))

    def test_arguments_fit_the_sections(self):
        # The sections need root's agent, but their signatures do not.
        for run in plan.RUNS:
            module = importlib.import_module(f'benchmarks.{run.section}')
            sections = importlib.import_module('benchmarks.__main__').SECTIONS
            measure = getattr(module, sections[run.section]).measure
            for full in False, True:
                inspect.signature(measure).bind(None, **run.values(full))

    def test_full_has_all_runs(self):
        def names(*argv):
            return [run.name for run in launch.chosen(launch.parse(argv))]

        self.assertEqual([run.name for run in plan.RUNS], names('--full'))
        self.assertNotIn('verbs-4000', names())
        self.assertEqual(['verbs-4000'], names('--only', 'verbs-4000'))
        self.assertEqual([], names('--draw'))

    def test_unknown_run(self):
        with mock.patch('sys.stderr'):
            self.assertRaises(SystemExit, launch.parse, ['--only', 'all'])


class TestTurns(testtools.TestCase):

    def turns(self, **how):
        # It needs root's agent when it is run, but not before.
        section = importlib.import_module('benchmarks.section').Section
        return [*section.turns(2, 1, **how)]

    def test_recorded_rounds(self):
        self.assertEqual(
            [(each, each) for each in ('this driver', 'in-tree', 'bare',
                                       'this driver', 'bare')],
            self.turns(warm_up=False))

    def test_first_round_starts_daemons(self):
        self.assertEqual(
            [('this driver', None), ('bare', None),
             *self.turns(warm_up=False)], self.turns())


class TestFigures(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path

    def test_round_trip(self):
        self.assertEqual({}, figures.read(self.folder))
        figures.write(self.folder, {'verbs-1': {'rows': [
            _row('bare', [1.23456789, 12345])]}})
        found = figures.read(self.folder)['verbs-1']['rows'][0]
        self.assertEqual([1.235, 12345], found['values'])

    def test_percentile(self):
        def percentile(count):
            return figures.percentile_99(_row('bare', list(range(count))))

        self.assertEqual(4, percentile(5))
        self.assertEqual(98, percentile(100))
        self.assertEqual(197, percentile(200))

    def test_ratio(self):
        self.assertEqual(2, figures.ratio(_row('a', [4]), _row('b', [1, 3])))
        self.assertIsNone(figures.ratio(None, _row('b', [1])))


class TestTables(testtools.TestCase):

    def test_terminal(self):
        _empty, facts, head, row = tables.text(_RESULTS).splitlines()
        self.assertEqual('verbs-100: Linux 6.12, LVM 2.03.16', facts)
        self.assertIn('ours / bare', head)
        self.assertEqual(
            'clone 100 30 s 3 s 4 2.5 s 12 / 2 / 2 4 / 0 / 0 1.20 10.00',
            ' '.join(row.split()))

    def test_rates(self):
        """They have no p99; columns that hold nothing are left out."""
        rows = [_row(subject, [1000.0, 2000.0], unit='1/s')
                for subject in ('this driver', 'bare')]
        head, row = tables.text({'verbs-100': {
            'facts': {}, 'rows': rows}}).splitlines()[-2:]
        self.assertEqual('operation beside this driver bare ours / bare',
                         ' '.join(head.split()))
        self.assertEqual('clone 100 1500 1/s 1500 1/s 1.00',
                         ' '.join(row.split()))

    def test_manual(self):
        folder = self.useFixture(fixtures.TempDir()).path
        tables.write(folder, _RESULTS)
        with open(os.path.join(folder, tables.FILE)) as file:
            text = file.read()
        self.assertIn('   * - clone\n     - 100\n     - 30 s\n', text)


class TestMeasure(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.useFixture(fixtures.MockPatchObject(
            launch.tempfile, 'mkdtemp', lambda prefix: self.folder))

    def measure(self, status):
        run = plan.Run(name='verbs-1', section='verbs',
                       arguments={'others': 0}, more={'rounds': 9})

        def boot(argv, **_how):
            self.argv = argv
            with open(os.path.join(self.folder, 'settings.json')) as file:
                self.settings = json.load(file)
            with open(os.path.join(self.folder, 'figures.json'), 'w') as file:
                json.dump({'facts': {'Linux': '6.12'}, 'rows': []}, file)
            return mock.Mock(returncode=status)

        with mock.patch.object(launch.subprocess, 'run', boot):
            return launch.measure(run, '/venv', full=True)

    def test_facts_are_added(self):
        found = self.measure(0)
        self.assertEqual('6.12', found['facts']['Linux'])
        self.assertIn('load before and after', found['facts'])
        self.assertEqual({'others': 0, 'rounds': 9},
                         self.settings['arguments'])
        self.assertEqual(f'{programs.TOOLS}/testvm', self.argv[0])
        self.assertFalse(os.path.exists(self.folder))
        os.mkdir(self.folder)

    def test_failure_keeps_the_log(self):
        failure = self.assertRaises(errors.CloudError, self.measure, 1)
        self.assertIn('driver.log', str(failure))
        self.assertTrue(os.path.exists(self.folder))
