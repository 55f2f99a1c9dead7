# SPDX-License-Identifier: Apache-2.0
"""Reports of a real LVM, and what is no report."""

import decimal
import json
import pathlib

import ddt

from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import errors as lvm_errors
from cinder_lvm_driver.lvm import report
from tests import base

SAMPLES = (pathlib.Path(__file__).parents[2] / 'samples/lvm').iterdir()
MIB = 2 ** 20


def changed(text, kind, **values):
    """Return a report with other values; None leaves the field out."""
    answer = json.loads(text)
    row = answer['report'][0][kind][0]
    for field, value in values.items():
        if value is None:
            del row[field]
        else:
            row[field] = value
    return json.dumps(answer)


@ddt.ddt
class TestRecorded(base.TestCase):
    """The VGs are those of tools/record_samples."""

    @classmethod
    def read(cls, folder, name):
        return (folder / f'{name}.json').read_text()

    @ddt.data(*SAMPLES)
    def test_recorded(self, folder):
        for check in (self.check_thick, self.check_thick_inactive,
                      self.check_thin, self.check_raid1,
                      self.check_physical_volumes, self.check_selection,
                      self.check_vg,
                      self.check_members, self.check_missing,
                      self.check_duplicates,
                      self.check_trouble):
            check(folder)

    def check_thick(self, folder):
        volumes = report.parse_volumes(self.read(folder, 'volumes-thick'))
        self.assertEqual({'volume-1', '_snapshot-1', 'volume-2', 'segments'},
                         set(volumes))
        origin, snapshot = volumes['volume-1'], volumes['_snapshot-1']
        self.assertTrue(origin.is_cow_origin)
        self.assertTrue(snapshot.is_cow_snapshot)
        self.assertEqual('volume-1', snapshot.origin)
        self.assertEqual((68 * MIB, 64 * MIB),
                         (snapshot.size_bytes, snapshot.virtual_size_bytes))
        self.assertEqual(decimal.Decimal(0), snapshot.data_percent)
        self.assertIs(False, origin.is_open)
        self.assertIs(True, volumes['volume-2'].is_open)
        self.assertEqual({'one', 'two'}, volumes['volume-2'].tags)
        self.assertEqual(frozenset(), origin.tags)
        self.assertEqual(('linear', 260 * MIB),
                         (volumes['segments'].segtype,
                          volumes['segments'].size_bytes))

    def check_thick_inactive(self, folder):
        volume = report.parse_volumes(
            self.read(folder, 'volumes-thick-inactive'))['volume-2']
        self.assertFalse(volume.active)
        self.assertIsNone(volume.is_open)
        self.assertFalse(volume.is_suspended)

    def check_thin(self, folder):
        volumes = report.parse_volumes(self.read(folder, 'volumes-thin'))
        pool = volumes.pop('vg-pool')
        self.assertTrue(pool.is_thin_pool)
        self.assertGreater(pool.data_percent, 0)
        self.assertGreater(pool.metadata_percent, 0)
        for volume in volumes.values():
            self.assertTrue(volume.is_thin)
            self.assertEqual(('vg-pool', 64 * MIB),
                             (volume.pool, volume.virtual_size_bytes))
            self.assertFalse(volume.is_cow_origin or volume.is_cow_snapshot)
        self.assertEqual(
            {'volume-1': (None, True, False),
             '_snapshot-1': ('volume-1', False, True),
             'clone': ('volume-1', True, False),
             'clone-2': ('_snapshot-1', True, False)},
            {name: (volume.origin, volume.active, volume.skips_activation)
             for name, volume in volumes.items()})

    def check_raid1(self, folder):
        volumes = report.parse_volumes(self.read(folder, 'volumes-raid1'))
        self.assertEqual({'volume-1', '_snapshot-1'}, set(volumes))
        origin, snapshot = volumes['volume-1'], volumes['_snapshot-1']
        self.assertEqual(('raid1', 32 * MIB, True, True), (
            origin.segtype, origin.size_bytes, origin.is_mirrored,
            origin.is_cow_origin))
        self.assertEqual(('linear', 32 * MIB, True), (
            snapshot.segtype, snapshot.virtual_size_bytes,
            snapshot.is_cow_snapshot))

    def check_physical_volumes(self, folder):
        for name, missing in (('physical-volumes', 0),
                              ('physical-volumes-missing', 1)):
            pvs = report.parse_physical_volumes(self.read(folder, name))
            self.assertEqual([124 * MIB] * 3, [pv.size_bytes for pv in pvs])
            self.assertEqual(
                [False, True, True], sorted(pv.allocatable for pv in pvs))
            self.assertEqual(missing, sum(pv.missing for pv in pvs))
            self.assertEqual(
                (3 - missing, [52 * MIB, 88 * MIB, 124 * MIB]), (
                    sum(pv.path.startswith('/dev/') for pv in pvs),
                    sorted(pv.free_bytes for pv in pvs)))

    def check_selection(self, folder):
        self.assertEqual({'volume-1'}, set(report.parse_volumes(
            self.read(folder, 'volume-1'))))
        for name in ('volume-none', 'volumes-empty'):
            self.assertEqual({}, report.parse_volumes(
                self.read(folder, name)))

    def check_vg(self, folder):
        empty, full = (report.parse_vg(self.read(folder, name), {})
                       for name in ('group-empty', 'group'))
        self.assertEqual(('vg', 504 * MIB, 504 * MIB, 4 * MIB),
                         (empty.name, empty.size_bytes, empty.free_bytes,
                          empty.extent_size_bytes))
        self.assertEqual((504 - 64 - 68 - 64 - 260) * MIB, full.free_bytes)

    def check_trouble(self, folder):
        def volume(report_name, name):
            return report.parse_volumes(self.read(folder, report_name))[name]

        full, = (each for each in report.parse_volumes(
            self.read(folder, 'volumes-pool-full')).values()
            if each.is_thin_pool)
        self.assertEqual(('out_of_data', 100, False, True),
                         (full.health, full.data_percent, full.needs_check,
                          full.zeroes_blocks))
        self.assertGreater(full.metadata_size_bytes, MIB)
        small = volume('volumes-overflowed', 'small')
        self.assertTrue(small.is_invalid and small.can_overflow)
        ours = volume('volumes-overflowed', '_snapshot-1')
        self.assertFalse(ours.is_invalid or ours.can_overflow)
        snapshot = volume('volumes-thin', '_snapshot-1')
        self.assertTrue(snapshot.is_read_only)
        self.assertFalse(volume('volumes-thin', 'clone-2').is_read_only)
        vg = report.parse_vg(self.read(folder, 'group-missing'), {})
        self.assertEqual(1, len(vg.lost_pvs + vg.returned_pvs))
        self.assertTrue(report.parse_spare(self.read(folder, 'spare')))

    def check_members(self, folder):
        members = report.parse_members(self.read(folder, 'members'))
        self.assertEqual({'vg'}, {member.vg_name for member in members})
        self.assertEqual(1, len({member.vg_uuid for member in members}))
        self.assertEqual(2, len({member.pv_uuid for member in members}))
        self.assertTrue(all(member.path for member in members))

    def check_missing(self, folder):
        missing = report.parse_members(self.read(folder, 'members-missing'))
        self.assertEqual([False, True],
                         sorted(member.path is None for member in missing))
        # The LVs are all known, from the PV that is there.
        self.assertIn('segments', report.parse_volumes(
            self.read(folder, 'volumes-missing')))
        self.assertTrue(lvm_errors.lacks_device(
            (folder / 'volumes-missing.txt').read_text()))

    def check_duplicates(self, folder):
        found = lvm_errors.duplicates(
            (folder / 'duplicates.txt').read_text())
        (paths,) = found.values()
        self.assertEqual(2, len(paths))
        self.assertIn('/dev/mapper/copy', paths)


@ddt.ddt
class TestForeignAnswers(base.TestCase):

    VOLUMES = json.dumps({'report': [{'lv': [
        dict.fromkeys(report._LV_FIELDS, '')
        | {'lv_name': 'a', 'lv_size': '1', 'segtype': 'linear'}]}]})
    VG = json.dumps({'report': [{'vg': [
        {'vg_name': 'vg', 'vg_size': '3', 'vg_free': '2',
         'vg_extent_size': '1', 'vg_mda_size': '9', 'vg_mda_free': '4',
         'max_lv': '0', 'lv_count': '1', 'pv_name': '/dev/a',
         'pv_uuid': 'uuid-a', 'pv_free': '2',
         'pv_allocatable': 'allocatable', 'pv_missing': ''}]}]})

    def test_the_samples_of_this_test_are_good(self):
        self.assertEqual({'a'}, set(report.parse_volumes(self.VOLUMES)))
        self.assertEqual(2, report.parse_vg(self.VG, {}).free_bytes)

    @ddt.data('', 'no JSON', '[]', '{}', '{"report": 1}', 'null',
              '{"report": [{"pv": []}]}', '{"report": [{"lv": null}]}')
    def test_no_report(self, stdout):
        error = self.assertRaises(lvm.ReportError, report.parse_volumes,
                                  stdout)
        self.assertIn(repr(stdout), str(error))

    def test_field_that_is_missing(self):
        error = self.assertRaises(
            lvm.ReportError, report.parse_volumes,
            changed(self.VOLUMES, 'lv', segtype=None, lv_tags=None))
        self.assertIn('segtype, lv_tags', str(error))

    @ddt.data('before', 'after', 'amid')
    def test_message_around_the_report(self, where):
        lines = json.dumps(json.loads(self.VOLUMES), indent=2).splitlines()
        lines.insert({'before': 0, 'amid': 2, 'after': len(lines)}[where],
                     '  Retrying metadata scan.')
        self.assertEqual({'a'}, set(report.parse_volumes('\n'.join(lines))))

    @ddt.data('lv_size', 'origin_size', 'data_percent', 'metadata_percent',
              'lv_metadata_size')
    def test_value_that_is_no_number(self, field):
        error = self.assertRaises(
            lvm.ReportError, report.parse_volumes,
            changed(self.VOLUMES, 'lv', **{field: '1.00g'}))
        self.assertIn(f"{field} as '1.00g'", str(error))

    @ddt.data(('suspended', True), ('', False), ('unknown', False))
    @ddt.unpack
    def test_suspended(self, word, is_suspended):
        """The words are those of 2.03.16; 'unknown' is of inactive LVs."""
        volume = report.parse_volumes(
            changed(self.VOLUMES, 'lv', lv_suspended=word))['a']
        self.assertIs(is_suspended, volume.is_suspended)

    @ddt.data((), ('vg', 'vg2'))
    def test_other_number_of_vgs(self, names):
        answer = json.loads(self.VG)
        row, = answer['report'][0]['vg']
        answer['report'][0]['vg'] = [{**row, 'vg_name': name}
                                     for name in names]
        self.assertRaises(lvm.ReportError, report.parse_vg,
                          json.dumps(answer), {})

    def test_space_of_closed_pvs_does_not_count(self):
        answer = json.loads(self.VG)
        row, = answer['report'][0]['vg']
        answer['report'][0]['vg'].append(row | {
            'vg_free': '2', 'pv_free': '1', 'pv_allocatable': ''})
        vg = report.parse_vg(json.dumps(answer), {})
        self.assertEqual((1, 1), (vg.free_bytes, vg.closed_bytes))

    def test_several_rows_of_one_volume(self):
        answer = json.loads(self.VOLUMES)
        rows = answer['report'][0]['lv']
        rows.append({**rows[0], 'segtype': 'striped'})
        volumes = report.parse_volumes(json.dumps(answer))
        self.assertEqual('linear', volumes['a'].segtype)
