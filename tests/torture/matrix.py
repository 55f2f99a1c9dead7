# SPDX-License-Identifier: Apache-2.0
"""Every point of every operation, in every configuration."""

import collections
import platform
import re
import time

from cinder import exception
from cinder import version as cinder_version
from cinder.volume.drivers import lvm as in_tree

from cinder_lvm_driver import driver as this_driver
from tests.torture import effects
from tests.torture import faults
from tests.torture import node
from tests.torture import operations
from tests.torture import rig

_LAYOUTS = {
    'thin': {'lvm_type': 'thin'},
    'thick': {'lvm_type': 'default', 'volume_clear_size': 1},
    'raid1': {'lvm_type': 'default', 'lvm_mirrors': 1,
              'volume_clear_size': 1},
}
_HELPERS = {
    'LIO': {'target_helper': 'lioadm'},
    'nvmet': {'target_helper': 'nvmet', 'target_protocol': 'nvmet_tcp',
              'target_port': 4420, 'nvmeof_conn_info_version': 2},
    'tgt': {'target_helper': 'tgtadm', 'target_port': 3262},
}


class Matrix:
    """Goes through all points, and keeps the results.

    :ivar rows: counts by configuration and operation
    :ivar findings: what was wrong, in words
    """

    def __init__(self, agent, options):
        self._agent = agent
        self._options = options
        self._deadline = time.monotonic() + 60 * options.minutes
        self.rows = {}
        self.findings = []

    def versions(self):
        return {'kernel': platform.release(),
                'lvm': node.run('lvm', 'version').split()[2],
                'cinder': cinder_version.version_string(),
                'date': time.strftime('%Y-%m-%d')}

    def run(self):
        for layout, helper, operation in self._chosen():
            title = f'{layout} {helper}: {operation.name}'
            if time.monotonic() > self._deadline:
                print(f'no time left for {title}', flush=True)
                continue
            self.rows[title] = collections.Counter()
            Run(self, title, rig.Rig(
                self._agent, in_tree.LVMVolumeDriver
                if self._options.in_tree else this_driver.LVMVolumeDriver,
                {**_LAYOUTS[layout], **_HELPERS[helper]}),
                operation, self._options).run()

    def _chosen(self):
        """Yield layouts with operations on LVs, helpers with exports."""
        for layout in _LAYOUTS:
            for helper in _HELPERS:
                for operation in operations.OPERATIONS:
                    name = f'{layout} {helper}: {operation.name}'
                    if operation.lays_out and helper != 'LIO':
                        continue
                    if not operation.lays_out and layout == 'raid1':
                        continue
                    if re.search(self._options.regex, name):
                        yield layout, helper, operation


class Run:
    """One operation in one configuration."""

    def __init__(self, matrix, title, a_rig, operation, options):
        self._matrix = matrix
        self._title = title
        self._rig = a_rig
        self._operation_class = operation
        self._options = options
        self._counts = matrix.rows[title]

    def run(self):
        began = time.monotonic()
        try:
            self._run()
        finally:
            self._rig.remove()
        print(f'{self._title}: {dict(self._counts)} '
              f'({time.monotonic() - began:.0f} s)', flush=True)

    def _run(self):
        self._rig.build()
        self._base = self._rig.look()
        operation = self._prepared()
        self._before = self._rig.look()
        names, self._after = rig.in_child(rig.watching(
            effects.Effects(), lambda: self._act(operation)))
        self._recover(operation, 'after the last effect')
        for number, name in enumerate(names):
            self._kill(number, name, None)
            if self._options.inside and _is_lvm(name):
                for point in self._points_inside(number):
                    self._kill(number, name, point)
        if not self._options.in_tree:
            for number, name, fault in faults.of(names):
                self._fault(number, name, fault)

    def _prepared(self):
        self._rig.cinder.reset()
        operation = self._operation_class(self._rig.cinder)
        operation.prepare(self._rig.driver)
        self._rig.settle(self._rig.driver)
        return operation

    def _act(self, operation):
        operation.act(self._rig.driver)
        self._rig.settle(self._rig.driver)
        return self._rig.look()

    def _points_inside(self, number):
        path = '/run/torture-trace'
        operation = self._prepared()
        rig.in_child(rig.watching(effects.Traced(number, path),
                                  lambda: self._act(operation)))
        rig.in_child(lambda: self._finish(operation, self._rig.start()))
        return effects.points_inside(path)

    def _is_chosen(self):
        """Count a point; tell whether it is in the sample."""
        self._counts['points'] += 1
        return not (self._counts['points'] - 1) % self._options.every

    def _kill(self, number, name, point):
        if not self._is_chosen():
            return
        where = f'before {number + 1}. {name}' if point is None else (
            f'in {number + 1}. {name}, before {point.call} {point.number} '
            f'({point.what})')
        operation = self._prepared()
        ended = rig.in_child(rig.watching(
            effects.Killed(number, point), lambda: self._act(operation)))
        if ended is not None:
            self._find('inconsistencies', where, 'it was not killed')
        self._counts['kills'] += 1
        self._recover(operation, where)

    def _recover(self, operation, where):
        """Start again, and check; then finish, and check again."""
        try:
            started, lost, error, finished = rig.in_child(
                lambda: self._start_and_finish(operation))
        except rig.Hangs:
            self._find('inconsistencies', where, 'the next start hangs')
            self._rebuild()
            return
        except rig.Failed as exc:
            self._find('inconsistencies', where, f'the next start: {exc}')
            self._rebuild()
            return
        wrong = list(started.faults)
        if started.things not in (self._before.things, self._after.things,
                                  self._base.things):
            wrong += started.differences(self._before)
        for each in wrong:
            self._find('inconsistencies', where, f'after the start: {each}')
        if lost:
            self._find('bytes lost', where, 'another volume has other data')
        if error:
            self._find('inconsistencies', where, f'the retry: {error}')
        left = [*finished.faults, *finished.differences(self._base)]
        for each in left:
            self._find('leaks', where, each)
        if wrong or lost or error or left:
            self._rebuild()

    def _start_and_finish(self, operation):
        driver = self._rig.start()
        self._rig.settle(driver)
        started = self._rig.look()
        lost = self._rig.lost_bytes()
        error = self._finish(operation, driver)
        return started, lost, error, self._rig.look()

    def _finish(self, operation, driver):
        try:
            operation.finish(driver)
            self._rig.settle(driver)
        # A driver may raise anything here: it is the result.
        except Exception as exc:  # noqa: BLE001
            return f'{type(exc).__name__}: {exc}'
        return ''

    def _fault(self, number, name, fault):
        if not self._is_chosen():
            return
        where = f'{fault.name} at {number + 1}. {name}'
        operation = self._prepared()
        try:
            wrong, finished = rig.in_child(
                lambda: self._fail(operation, number, fault))
        except (rig.Hangs, rig.Failed) as exc:
            self._find('inconsistencies', where, repr(exc))
            self._rebuild()
            return
        self._counts['faults'] += 1
        for each in wrong:
            self._find('inconsistencies', where, each)
        left = [*finished.faults, *finished.differences(self._base)]
        for each in left:
            self._find('leaks', where, each)
        if wrong or left:
            self._rebuild()

    def _fail(self, operation, number, fault):
        """Let an effect fail; return what is wrong, and the state after."""
        driver, expected, wrong = self._rig.driver, self._after, []
        with effects.watched(effects.Faulty(number, fault)):
            try:
                operation.act(driver)
            except (exception.CinderException, NotImplementedError):
                expected = self._before
            # Nothing else is what Cinder expects.
            except Exception as exc:  # noqa: BLE001
                wrong.append(f'not typed: {type(exc).__name__}: {exc}')
                expected = self._before
            self._rig.settle(driver)
        state = self._rig.look()
        wrong += state.faults
        if operation.is_undone:
            wrong += state.differences(expected)
        if self._rig.lost_bytes():
            wrong.append('another volume has other data')
        error = self._finish(operation, driver)
        if error:
            wrong.append(f'the retry: {error}')
        return wrong, self._rig.look()

    def _find(self, kind, where, what):
        self._counts[kind] += 1
        finding = f'{self._title}: {where}: {what}'
        self._matrix.findings.append(finding)
        print(f'  {kind}: {finding}', flush=True)

    def _rebuild(self):
        self._rig.build()


def _is_lvm(name):
    return name.startswith(('lv', 'vg'))
