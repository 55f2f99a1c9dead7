# SPDX-License-Identifier: Apache-2.0
"""Every point of every operation, in every configuration."""

import collections
from concurrent import futures
import itertools
import operator
import re
import time

from cinder import exception
from cinder.volume.drivers import lvm as in_tree
from oslo_config import cfg

from cinder_lvm_driver import driver as this_driver
from tests.torture import effects
from tests.torture import faults
from tests.torture import operations
from tests.torture import rig as rigs

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
# Two processes share the work, so that neither meets a helper of the other's.
# An operation that no helper matters to is done with the first one.
_SHARES = (
    (('thin', 'LIO'), ('raid1', 'LIO'), ('thick', 'LIO')),
    (('thick', 'nvmet'), ('thin', 'nvmet'), ('thin', 'tgt'),
     ('thick', 'tgt')))
_WITH_LVS = ('thin', 'LIO'), ('raid1', 'LIO'), ('thick', 'nvmet')
# Names by which the next start finds what it is to remove.
_IS_TO_BE_REMOVED = re.compile('clone-snap-|cinder-')
# What was being created, and is removed with what Cinder calls failed.
_IS_INACTIVE = re.compile('more: LV .* unknown')
_CLASSES = {False: this_driver.LVMVolumeDriver, True: in_tree.LVMVolumeDriver}


def run(root, options):
    """Go through all points.

    :returns: counts by configuration and operation, and what was wrong
    """
    end = time.monotonic() + 60 * options.minutes
    rows, findings = {}, []
    with futures.ThreadPoolExecutor() as executor:
        for its_rows, its_findings in executor.map(
                lambda number: rigs.in_child(
                    lambda: _share(root, number, options, end), None),
                range(len(_SHARES))):
            rows.update(its_rows)
            findings += its_findings
    return rows, findings


def _share(root, number, options, end):
    """Do the work of one process."""
    name = f'torture-{number}'
    path = f'{cfg.CONF.state_path}/{name}'
    cfg.CONF.set_override('state_path', path)
    cfg.CONF.set_override('lock_path', path, 'oslo_concurrency')
    chosen = [
        (layout, helper, operation, f'{layout} {helper}: {operation.name}')
        for layout, helper in _SHARES[number]
        for operation in operations.OPERATIONS
        if layout in operation.layouts
        and (operation.is_of_target or (layout, helper) in _WITH_LVS)
        and re.search(options.regex, f'{layout} {helper}: {operation.name}')]
    rows, findings = {}, []
    for config, its in itertools.groupby(chosen, operator.itemgetter(0, 1)):
        rig = rigs.Rig(root, name, _CLASSES[options.in_tree],
                       {**_LAYOUTS[config[0]], **_HELPERS[config[1]]})
        rig.build()
        for *_config, operation, title in its:
            # Each operation gets the same share of the time that is left.
            now = time.monotonic()
            share = (end - now) / (len(chosen) - len(rows))
            rows[title] = collections.Counter()
            _Row(rig, title, operation, options, now + share, rows[title],
                 findings).run()
        rig.remove()
    return rows, findings


class _Row:
    """One operation in one configuration."""

    def __init__(self, rig, title, operation_class, options, end, counts,
                 findings):
        self._rig = rig
        self._title = title
        self._operation_class = operation_class
        self._options = options
        self._end = end
        self._counts = counts
        self._findings = findings

    def run(self):
        began = time.monotonic()
        try:
            self._run()
        except (rigs.Hangs, rigs.Failed) as exc:
            self._find('inconsistencies', 'without any kill', [repr(exc)])
            self._rig.build()
        print(f'{self._title}: {dict(self._counts)} '
              f'({time.monotonic() - began:.0f} s)', flush=True)

    def _run(self):
        operation = self._prepared()
        self._before = self._rig.look()
        watch = effects.Effects()
        self._after = rigs.in_child(lambda: self._act(operation, watch))
        names = watch.names()
        starts = {'after the last effect': (
            None, self._recover(operation, 'after the last effect'))}
        self._counts['points'] += 1
        self._counts['kills'] += 1
        kills = {f'before {number + 1}. {name}': (number, None)
                 for number, name in enumerate(names)}
        if self._options.inside and effects.shim():
            for number, name in enumerate(names):
                if name.startswith(('lv', 'vg')):
                    kills.update(self._points_inside(number, name))
        for where, kill in self._sample(kills.items()):
            starts[where] = kill, self._kill(where, kill)
        if self._options.in_tree:
            return
        recoveries = [
            (where, kill, number, name)
            for where, (kill, start) in starts.items() if kill and start
            for number, name in enumerate(start) if name not in self._rig.idle]
        for where, kill, number, name in self._sample(recoveries):
            self._kill(f'{where}, then at the start before {number + 1}. '
                       f'{name}', kill, number)
        for fault in self._sample(list(faults.of(watch))):
            self._fault(*fault)

    def _sample(self, points):
        """Yield the points of a sample, as long as there is time."""
        first = self._counts['points']
        self._counts['points'] += len(points)
        for number, point in enumerate(points, first):
            if time.monotonic() < self._end and (
                    number % self._options.every == 0):
                yield point

    def _start(self, watch):
        with effects.watched(watch):
            driver = self._rig.start()
            if self._operation_class is operations.Migrate:
                self._rig.settle(self._rig.start_other())
            self._rig.settle(driver)
        return driver

    def _prepared(self):
        self._rig.cinder.reset()
        operation = self._operation_class(self._rig.cinder)
        with effects.watched(effects.Effects()):
            operation.prepare(self._rig.driver)
            self._rig.settle(self._rig.driver)
        return operation

    def _act(self, operation, watch):
        with effects.watched(watch):
            operation.act(self._rig.driver)
            self._rig.settle(self._rig.driver)
        return self._rig.look()

    def _points_inside(self, number, name):
        """Return the kills within a command, by their names."""
        operation, watch = self._prepared(), effects.Traced(number)
        rigs.in_child(lambda: self._act(operation, watch) and None)
        self._recover(operation, f'traced {name}')
        return {f'in {number + 1}. {name}, before {change + 1}. {what}': (
            number, change) for change, what in enumerate(watch.changes)}

    def _kill(self, where, kill, at_start=None):
        """Kill an operation, and perhaps the next start.

        :returns: the effects of the start after it
        """
        operation = self._prepared()
        ended = rigs.in_child(lambda: self._act(
            operation, effects.Killed(*kill)))
        if at_start is not None:
            ended = rigs.in_child(lambda: self._start(
                effects.Killed(at_start)) and True)
        if ended is not None:
            self._find('inconsistencies', where, ['it was not killed'])
        self._counts['kills'] += 1
        return self._recover(operation, where)

    def _recover(self, operation, where):
        """Start again, and check; then finish, and check again.

        :returns: the effects of the start
        """
        watch = effects.Effects()
        try:
            started, lost, error, finished = rigs.in_child(
                lambda: self._start_and_finish(operation, watch))
        except (rigs.Hangs, rigs.Failed) as exc:
            self._find('inconsistencies', where,
                       [f'the next start: {exc}'])
            self._rig.build()
            return ()
        found = min((started.differences(state) for state in (
            self._before, self._after, self._rig.base)), key=len)
        wrong = [*started.faults, *(
            each for each in found if not _IS_INACTIVE.match(each))]
        self._judge(where, wrong + error, lost, finished)
        return watch.names()

    def _start_and_finish(self, operation, watch):
        driver = self._start(watch)
        with effects.watched(effects.Effects()):
            operation.resume(driver)
            self._rig.settle(driver)
        started = self._rig.look()
        lost = any(map(self._rig.cinder.has_lost, operation.kept()))
        error = self._finish(operation, driver)
        return started, lost, error, self._rig.look()

    def _finish(self, operation, driver):
        try:
            with effects.watched(effects.Effects()):
                operation.finish(driver)
                self._rig.settle(driver)
        # A driver may raise anything here: it is the result.
        except Exception as exc:  # noqa: BLE001
            return [f'the retry: {type(exc).__name__}: {exc}']
        return []

    def _fault(self, kind, number, name, fault):
        where = f'{fault.name} at {number + 1}. {name}'
        operation = self._prepared()
        try:
            wrong, lost, finished = rigs.in_child(
                lambda: self._fail(operation, effects.Faulty(
                    kind, number, fault)))
        except (rigs.Hangs, rigs.Failed) as exc:
            self._find('inconsistencies', where, [repr(exc)])
            self._rig.build()
            return
        self._counts['faults'] += 1
        self._judge(where, wrong, lost, finished)

    def _fail(self, operation, watch):
        """Let something fail; return what is wrong, and the state after."""
        driver, expected, wrong = self._rig.driver, self._after, []
        with effects.watched(watch):
            try:
                operation.act(driver)
            except exception.TargetUpdateFailed:
                # Cinder takes that for success.
                pass
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
            wrong += [each for each in state.differences(expected)
                      if not _IS_TO_BE_REMOVED.search(each)]
        lost = any(map(self._rig.cinder.has_lost, operation.kept()))
        wrong += self._finish(operation, driver)
        finished = self._rig.look()
        if finished != self._rig.base:
            self._start(effects.Effects())
            finished = self._rig.look()
        return wrong, lost, finished

    def _judge(self, where, wrong, lost, finished):
        left = [*finished.faults, *finished.differences(self._rig.base)]
        self._find('inconsistencies', where, wrong)
        self._find('bytes lost', where, ['a volume has other data'] * lost)
        self._find('leaks', where, left)
        if wrong or lost or left:
            self._rig.build()

    def _find(self, kind, where, found):
        if found:
            self._counts[kind] += 1
            self._findings.append(
                f'{self._title}: {where}: {"; ".join(found)}')
            print(f'  {kind}: {self._findings[-1]}', flush=True)
