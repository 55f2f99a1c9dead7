# SPDX-License-Identifier: Apache-2.0
"""tools/openstack: results of tempest and their comparison."""

import datetime
import json
import os
import pathlib
import re
from unittest import mock

import fixtures
import testtools
from testtools import content

from cloud_lib import errors
from openstack_lib import facts
from openstack_lib import follow
from openstack_lib import remote
from openstack_lib import results
from openstack_lib import settings
from openstack_lib import tempest

FOLDER = pathlib.Path(tempest.RECORDS)


def _results(**statuses):
    return [results.Result(status, 1.0, name.replace('_', '.'))
            for name, status in statuses.items()]


class TestResults(testtools.TestCase):

    def test_round_trip(self):
        found = [results.Result('ok', 1.25, 'a.b'),
                 results.Result('skip', 0.0, 'setUpClass(c)', 'no # nova')]
        text = results.write(found, {'date': 'today'})
        self.assertIn('# date: today\n', text)
        self.assertEqual(
            [results.Result('ok', 1.2, 'a.b'), found[1]],
            results.read(text.splitlines()))

    def test_broken_file(self):
        self.assertRaises(ValueError, results.read, ['okay 1.0 a'])

    def test_names_and_reasons(self):
        self.assertEqual('a.B.test_c', results.clean_name(
            'a.B.test_c[id-1,slow]'))
        self.assertEqual('setUpClass(a.B)', results.clean_name(
            'setUpClass (a.B)'))
        self.assertEqual('the end', results.clean_reason(
            'Traceback\n  at\nthe end\n'))
        self.assertEqual('', results.clean_reason(''))

    def test_totals(self):
        self.assertEqual(
            '1 passed, 2 failed, 1 skipped',
            results.totals(_results(a='ok', b='FAIL', c='FAIL', d='skip')))


class TestComparison(testtools.TestCase):

    def test_kinds(self):
        found = results.compare(
            _results(a='FAIL', b='FAIL', c='FAIL', d='ok', e='skip', f='ok',
                     g='FAIL'),
            _results(a='ok', b='FAIL', c='skip', d='FAIL', e='ok', f='ok',
                     h='ok'))
        self.assertEqual(('a',), found.broken)
        self.assertEqual(('b',), found.shared)
        self.assertEqual(('c', 'g'), found.unknown)
        self.assertEqual(('d',), found.mended)
        self.assertEqual(('e',), found.missing)
        self.assertFalse(found.good)
        self.assertIn('FAIL here, pass with upstream\'s driver: 1',
                      found.lines())

    def test_what_fails_there_may_fail_here(self):
        self.assertTrue(results.compare(
            _results(a='FAIL', b='skip'), _results(a='FAIL', b='ok')).good)

    def test_several_runs_on_record(self):
        """A recorded test counts as failed if it never passed."""
        record = [*_results(a='FAIL', b='ok', c='skip'),
                  *_results(a='ok', b='skip', c='FAIL')]
        for there in record, record[::-1]:
            found = results.compare(
                _results(a='FAIL', b='FAIL', c='FAIL'), there)
            self.assertEqual(('a', 'b'), found.broken)
            self.assertEqual(('c',), found.shared)

    def test_class_that_cannot_be_set_up(self):
        record = [results.Result('ok', 1.0, 'm.C.test_a'),
                  results.Result('ok', 1.0, 'm.Cd.test_a')]
        found = results.compare(
            [results.Result('FAIL', 0.0, 'setUpClass(m.C)')], record)
        self.assertEqual(('setUpClass(m.C)',), found.broken)
        found = results.compare(
            [results.Result('skip', 0.0, 'setUpClass(m.C)')], record)
        self.assertEqual(('setUpClass(m.C)',), found.missing)
        found = results.compare(
            [results.Result('FAIL', 0.0, 'setUpClass(m.E)')], record)
        self.assertEqual(('setUpClass(m.E)',), found.unknown)

    def test_class_of_which_nothing_passes_there(self):
        record = [results.Result(status, 1.0, f'm.C.test_{status}')
                  for status in ('skip', 'FAIL')]
        found = results.compare(
            [results.Result('FAIL', 0.0, 'setUpClass(m.C)')], record)
        self.assertEqual(('setUpClass(m.C)',), found.shared)

    def test_what_did_not_run_at_all(self):
        here, there = _results(a='ok'), _results(a='ok', b='ok', c='skip')
        self.assertEqual((), results.compare(here, there).missing)
        self.assertEqual(('b',),
                         results.compare(here, there, whole=True).missing)


class TestRecords(testtools.TestCase):

    def test_all_can_be_read(self):
        for path in FOLDER.glob('*.txt'):
            with self.subTest(path=path.name), path.open() as file:
                text = file.read()
                found = results.read(text.splitlines())
                self.assertIn(f'# total: {results.totals(found)}', text)

    def test_selections_find_tests_of_the_record(self):
        names = [one.name for one in tempest.record()]
        every = [name for name in names
                 if re.search(tempest.ALL, name)
                 or name.startswith('setUpClass')]
        self.assertEqual(names, every)
        for part in tempest.SMOKE.split('|'):
            if 'backup' in part:
                continue
            self.assertTrue([name for name in names
                             if re.search(part, name)], part)


class TestFollow(testtools.TestCase):

    def _test(self, status, **details):
        start = datetime.datetime(2026, 1, 1)
        return {'id': 'a.B.test_c[id-1]', 'status': status,
                'timestamps': [start, start + datetime.timedelta(seconds=2)],
                'details': {name: content.text_content(text)
                            for name, text in details.items()}}

    def test_success(self):
        self.assertEqual(
            {'name': 'a.B.test_c', 'status': 'ok', 'seconds': 2.0,
             'reason': '', 'details': {}},
            follow.outcome(self._test('success', log='much')))

    def test_failure(self):
        told = follow.outcome(self._test('fail', traceback='at\nit broke'))
        self.assertEqual(('FAIL', 'it broke'),
                         (told['status'], told['reason']))
        self.assertEqual({'traceback': 'at\nit broke'}, told['details'])

    def test_skip(self):
        told = follow.outcome(self._test('skip', reason='no nova'))
        self.assertEqual(('skip', 'no nova'),
                         (told['status'], told['reason']))

    def test_process_that_died(self):
        test = self._test('inprogress')
        test['timestamps'] = [None, None]
        told = follow.outcome(test)
        self.assertEqual(('FAIL', 'its process died', 0.0),
                         (told['status'], told['reason'], told['seconds']))

    def test_a_list_is_no_result(self):
        self.assertIsNone(follow.outcome(self._test('exists')))


class TestRun(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.places = settings.Places(
            self.useFixture(fixtures.TempDir()).path)
        os.makedirs(self.places.log)
        self.work = tempest.Tempest(settings.Settings(), self.places, '/venv')

    def _run(self, lines, status=0):
        process = mock.MagicMock()
        process.__enter__.return_value = process
        process.stdout = lines
        process.returncode = status
        told = []
        with mock.patch('subprocess.Popen', return_value=process):
            return self.work.run(['tempest'], told.append), told

    def test_each_is_told_at_once_and_failures_are_kept(self):
        line = json.dumps({'name': 'a', 'status': 'FAIL', 'seconds': 1.0,
                           'reason': 'r', 'details': {'traceback': 'long'}})
        found, told = self._run([line.encode()], 1)
        self.assertEqual([results.Result('FAIL', 1.0, 'a', 'r')], found)
        self.assertEqual(found, told)
        with open(os.path.join(self.places.log, tempest.FAILURES)) as file:
            self.assertEqual('=== a\n--- traceback\nlong\n', file.read())

    def test_run_that_ended_early(self):
        ok, fail = (json.dumps({'name': 'a', 'status': status, 'seconds': 1.0,
                                'reason': '', 'details': {}}).encode()
                    for status in ('ok', 'FAIL'))
        for line, status in ((ok, 1), (ok, 247), (fail, 247)):
            error = self.assertRaises(errors.CloudError, self._run, [line],
                                      status)
            self.assertIn('not all tests ran', str(error))
        self.assertEqual(1, len(self._run([ok])[0]))

    def test_nothing_ran(self):
        error = self.assertRaises(errors.CloudError, self._run, [])
        self.assertIn('no test ran', str(error))


class TestFacts(testtools.TestCase):

    def test_versions(self):
        folder = self.useFixture(fixtures.TempDir()).path
        os.mkdir(f'{folder}/cinder-29.0.0.dist-info')
        with open(f'{folder}/cinder-29.0.0.dist-info/METADATA', 'w') as file:
            file.write('Metadata-Version: 2.1\nName: cinder\n'
                       'Version: 29.0.0\n')
        self.assertEqual('cinder 29.0.0, glance not installed',
                         facts.versions(folder, ('cinder', 'glance')))

    def test_machine(self):
        agent = mock.Mock()
        agent.run.side_effect = lambda command, tell: tell(
            '6.12.1\n  LVM version:     2.03.16(2) (2022-05-18)\nKVM\n')
        self.assertEqual('Linux 6.12.1, LVM 2.03.16(2) (2022-05-18), KVM',
                         facts.machine(agent))
        agent.run.side_effect = remote.NodeAway('away')
        self.assertEqual('unknown', facts.machine(agent))

    def test_head(self):
        head = facts.gather(
            settings.Settings(backup=False), _results(a='ok'), 'x, 3', 12.3,
            {'tree': 'abc'})
        self.assertEqual('1 passed, 0 failed, 0 skipped, 12 s',
                         head['total'])
        self.assertIn('backup=off', head['settings'])
        self.assertEqual('abc', head['tree'])
