# SPDX-License-Identifier: Apache-2.0
"""Random requests and kills on the fake LVM, compared with a model.

``tests.torture.stateful`` does the same on a real kernel.
"""

import math
from unittest import mock

import hypothesis
from hypothesis import stateful

from cinder_lvm_driver import driver
from cinder_lvm_driver import process
from tests.fakes import backend
from tests.torture import node
from tests.torture import stateful as machines
from tests.torture import world as worlds

_VGS = 'vg', 'other'


class Killed(BaseException):
    """The process has ended."""


class FakeWorld(worlds.World):
    """Back ends on a fake machine.

    :param case: a test that has the machine
    """

    def __init__(self, case, settings):
        super().__init__(driver.LVMVolumeDriver, settings, _VGS)
        self._machine = case.machine
        self.cinder.context, self.cinder.vg_name = case.context, _VGS[0]
        self.cinder.make_driver = lambda _class, **values: (
            case.make_driver(**values))

    def _lvs(self, vg_name):
        return self._machine.vgs[vg_name].volumes

    def _write(self, _driver, volume, seed):
        vg_name = volume.host.rpartition('#')[2]
        self._lvs(vg_name)[volume.name].content = f'seed {seed}'

    def _rename(self, lv_name, new_name):
        lv = self._lvs(_VGS[0])[new_name] = self._lvs(_VGS[0]).pop(lv_name)
        lv.name = new_name

    def _names(self, vg_name):
        return {name for name in self._lvs(vg_name)
                if not name.endswith('-pool')}

    def look(self):
        return node.State(frozenset(
            (vg_name, name) for vg_name in _VGS
            for name in self._lvs(vg_name)), ())

    def _wrong_data(self, number, known, volume):
        lv = self._lvs(_VGS[known.is_away])[volume.name]
        if (lv.size, lv.content) != (known.size * backend.GIB, known.seed):
            yield (f'volume {number} has {lv.size} bytes and {lv.content!r}, '
                   f'not {known}')


class TestRequests(backend.BackendTestCase):

    def check(self, **settings):
        case = self
        for vg_name in _VGS:
            self.machine.vgs.pop(vg_name, None)
            self.machine.add_vg(vg_name, size_bytes=100 * backend.GIB, pvs=2)
        self.machine.lvm = self.machine.vgs[_VGS[0]]

        class Machine(machines.Machine):
            end = math.inf

            @staticmethod
            def new_world():
                return FakeWorld(case, settings)

            @staticmethod
            def in_child(work):
                try:
                    return work()
                except Killed:
                    return None

            def _killed(self, action, number):
                run, left = process.RootwrapRunner._timed, [number]

                def run_or_die(runner, *arguments):
                    left[0] -= 1
                    if left[0] < 0:
                        raise Killed
                    return run(runner, *arguments)

                model = self.world.model
                try:
                    with mock.patch.object(process.RootwrapRunner, '_timed',
                                           run_or_die):
                        return self.world.do(action)
                finally:
                    # As if a process of its own had done it.
                    self.world.model = model

        stateful.run_state_machine_as_test(
            Machine, settings=hypothesis.settings(
                max_examples=6, stateful_step_count=20, deadline=None,
                database=None, derandomize=True,
                phases=[hypothesis.Phase.generate],
                suppress_health_check=list(hypothesis.HealthCheck)))

    def test_thin(self):
        self.check(lvm_type='thin')

    def test_thick(self):
        self.check(lvm_type='default')
