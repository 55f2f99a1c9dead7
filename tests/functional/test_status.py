# SPDX-License-Identifier: Apache-2.0
"""``cinder-lvm status`` and ``metrics`` of back ends in use."""

import argparse
import contextlib
import io
import json
import urllib.request

from cinder.volume import manager
from prometheus_client import parser

from cinder_lvm_driver.cmd import backends
from cinder_lvm_driver.cmd import metrics
from cinder_lvm_driver.cmd import status
from cinder_lvm_driver import timings
from tests.functional import base
from tests.functional import test_attach
from tests.functional import test_nvmet
from tests.functional import test_pools

CONF = base.CONF
OURS = 'cinder_lvm_driver.driver.LVMVolumeDriver'
MIB = base.MIB


class StatusCases:
    """What is shown of the back end of a test, whatever serves it."""

    def enabled(self):
        """Let cinder.conf have the back end of this test."""
        config = self.driver.configuration
        config.append_config_values(manager.volume_backend_opts)
        group = config.config_group
        CONF.set_override('volume_driver', OURS, group=group)
        CONF.set_override('enabled_backends', [group])
        self.addCleanup(CONF.clear_override, 'enabled_backends')
        self.enterContext(base.daemons_shared())
        return group

    def status(self):
        """Return the status of the back end."""
        self.enabled()
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = status.run(argparse.Namespace(backend=None, json=True,
                                                 watch=False))
        self.assertEqual(0, code, out.getvalue())
        found, = json.loads(out.getvalue())['backends']
        return found

    def metrics(self):
        """Return the metrics, as Prometheus gets them."""
        group = self.enabled()
        registry = metrics.core.CollectorRegistry()
        registry.register(metrics.Collector(backends.sections(None)))
        server, _thread = metrics.prometheus_client.start_http_server(
            0, '127.0.0.1', registry)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        with urllib.request.urlopen(
                'http://127.0.0.1:%d/metrics' % server.server_port) as answer:
            text = answer.read().decode()
        samples = [sample for family in parser.text_string_to_metric_families(
            text) for sample in family.samples]
        self.assertEqual({group},
                         {sample.labels['backend'] for sample in samples})
        return {(sample.name.removeprefix('cinder_lvm_'), *(
            value for label, value in sorted(sample.labels.items())
            if label != 'backend')): sample.value for sample in samples}


class ThinStatusTest(StatusCases, test_attach.AttachTestCase):

    settings = {'lvm_type': 'thin'}
    sessions = 1

    def test_in_use(self):
        volume = self.export()
        self.create_snapshot(volume)
        with self.connected(self.attach(volume)):
            seen = self.status()
            export, = seen['exports']
            self.assertEqual((volume.name, 1, self.sessions), (
                export['lv'], export['hosts'], export['sessions']))
            values = self.metrics()
        vg, = seen['volume_groups']
        kinds = {each['kind']: each['count']
                 for each in vg['logical_volumes']}
        self.assertEqual({'volume': 1, 'snapshot': 1, 'pool': 1}, kinds)
        self.assertEqual([f'{self.vg_name}-pool'],
                         [pool['name'] for pool in vg['thin_pools']])
        self.assertEqual([], vg['work'])
        self.assertEqual(1, values['exports',])
        self.assertEqual(self.sessions, values.get(('sessions',)))
        self.assertEqual(1, values['lvs', 'snapshot', 'thin', self.vg_name])
        key = 'operation_duration_seconds_count', 'create_volume', 'success'
        self.assertLessEqual(1, values[key])

    @base.slow
    def test_operations_are_counted_over_a_restart(self):
        def count():
            return sum(sum(each.counts) for each in timings.read(
                timings.path_of(CONF.state_path,
                                self.driver.configuration.config_group))
                if each.operation == 'create_volume')

        self.create()
        before = count()
        self.driver.timings = timings.Timings(self.driver.timings._path)
        self.create()
        self.assertEqual(before + 1, count())


@base.slow
class NvmetStatusTest(test_nvmet.NvmetTestCase, ThinStatusTest):
    """nvmet does not tell which hosts are connected."""

    settings = {**test_nvmet.NvmetTestCase.settings, 'lvm_type': 'thin'}
    sessions = None


@base.slow
class PoolsStatusTest(StatusCases, test_pools.PoolsTestCase):
    """Two VGs, one of which has several pools."""

    def test_pools(self):
        seen, values = self.status(), self.metrics()
        self.assertEqual(
            [('plain', self.vg_name), ('mirrored', self.vg_name),
             ('parity', self.vg_name), ('fast', self.other)],
            [(pool['name'], pool['volume_group']) for pool in seen['pools']])
        self.assertEqual([[], [f'{self.other}-pool']], [
            [pool['name'] for pool in vg['thin_pools']]
            for vg in seen['volume_groups']])
        for pool in seen['pools']:
            self.assertEqual(1, values['up', pool['name']])


@base.slow
class MirrorStatusTest(StatusCases, base.BackendTestCase):

    pv_sizes = (256 * MIB, 256 * MIB)
    settings = {'lvm_type': 'default', 'lvm_mirrors': 1,
                'volume_clear': 'none'}

    def test_copies_that_are_synchronized(self):
        with self.slow_raid():
            volume = self.create_small(128 * MIB)
            seen, values = self.status(), self.metrics()
        work, = seen['volume_groups'][0]['work']
        self.assertEqual(('synchronize copies', volume.name),
                         (work['what'], work['lv']))
        self.assertLess(work['percent'], 100)
        self.assertLess(
            values['synchronized_ratio', volume.name, self.vg_name], 1)

    def test_lost_disk(self):
        """The pool is down, and the PVs are still counted."""
        lost, = self.root.run('vgs', '--noheadings', '-o', 'pv_name',
                              self.vg_name).split()[1:]
        self.create_small(8 * MIB)
        self.root.run('lvchange', '-an', self.vg_name)
        file = self.root.run('losetup', '-n', '-O', 'BACK-FILE',
                             lost).strip()
        self.root.run('losetup', '-d', lost)
        self.root.run('udevadm', 'settle')
        try:
            values = self.metrics()
        finally:
            self.root.run('losetup', lost, file)
            self.root.run('udevadm', 'settle')
        self.assertEqual(0, values['up', self.vg_name])
        self.assertEqual(1, values['pvs', 'missing', self.vg_name])
