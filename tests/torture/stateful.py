# SPDX-License-Identifier: Apache-2.0
"""Random requests, restarts and kills, compared with a simple model.

Runs as root in the test machine, see tests/torture/run:
    python -m tests.torture.stateful RESULTS LAYOUT MINUTES SEED
A failure prints the steps that led to it; the same seed takes them again.
"""

import contextlib
import sys
import time

import hypothesis
from hypothesis import stateful
from hypothesis import strategies

from tests.torture import __main__ as program
from tests.torture import effects

_SETTINGS = {'thin': {'lvm_type': 'thin'},
             'thick': {'lvm_type': 'default', 'volume_clear_size': 1}}
_PV_SIZES = (4 * 2 ** 30,) * 2
_STEPS = 20
# The first one is always the shortest.
_RUNS = 2
# More than most requests have.
_MOST_EFFECTS = 12


class Machine(stateful.RuleBasedStateMachine):
    """One back end, from nothing to nothing.

    :cvar new_world: returns a ``World`` without volumes
    :cvar in_child: does something in a process of its own
    :cvar counts: steps of all runs
    """

    new_world = in_child = None
    counts = {'requests': 0, 'kills': 0, 'restarts': 0}

    def __init__(self):
        super().__init__()
        self.world = self.new_world()
        self.world.start()
        self.base = self.world.look()

    @stateful.rule(data=strategies.data())
    def act(self, data):
        """Make a request."""
        self.world.do(self._drawn(data))
        self._check()
        self.counts['requests'] += 1

    @stateful.rule()
    def restart(self):
        self.world.start()
        self._check()
        self.counts['restarts'] += 1

    @stateful.rule(data=strategies.data(),
                   number=strategies.integers(0, _MOST_EFFECTS))
    def kill(self, data, number):
        """Kill the service before an effect of a request; start it again."""
        action, world = self._drawn(data), self.world
        world.settle()
        done = self.in_child(lambda: self._killed(action, number))
        if done is not None:
            world.take(action, done)
        world.start()
        if done is None:
            self.counts['kills'] += 1
            self._expect(world.differences(action))
            world.finish(action)
        self._check()

    def _killed(self, action, number):
        with effects.watched(effects.Killed(number)):
            update = self.world.do(action)
            self.world.settle()
        return update

    def _drawn(self, data):
        actions = self.world.model.actions()
        name = data.draw(strategies.sampled_from(
            sorted({action.name for action in actions})))
        return data.draw(strategies.sampled_from(
            [action for action in actions if action.name == name]), 'action')

    def _check(self):
        self.world.settle()
        self._expect(self.world.differences())

    def _expect(self, wrong):
        assert not wrong, wrong

    def teardown(self):
        """Delete everything; nothing may be left."""
        for action in self.world.deletions():
            self.world.do(action)
        self.world.settle()
        self._expect(self.world.look().differences(self.base))


def main(results, layout, minutes, seed):
    agent = program.prepare(results, f'{results}/state',
                            f'{results}/used.conf')
    # Cinder's logging would keep it to the log.
    sys.excepthook = sys.__excepthook__
    from cinder_lvm_driver import driver
    from tests.functional import base
    from tests.functional import fixtures
    from tests.torture import rig as rigs
    from tests.torture import world as worlds
    names = 'stateful', 'stateful-other'
    rigs.Cinder.root, rigs.Cinder.vg_name = agent, names[0]
    rigs.Cinder.context = base.context.get_admin_context()
    Machine.in_child = staticmethod(rigs.in_child)
    # Nothing within a run may depend on the time.
    end = time.monotonic() + 60 * float(minutes)
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(fixtures.volume_group(agent, name, _PV_SIZES))
        Machine.new_world = staticmethod(lambda: worlds.World(
            driver.LVMVolumeDriver,
            {**_SETTINGS[layout], 'target_helper': 'lioadm'}, names))
        # A new pool has one device less until its first LV.
        first = Machine()
        first.world.do(first.world.model.actions()[0])
        first.world.do(first.world.deletions()[0])
        number = int(seed)
        while time.monotonic() < end:
            print('seed', number, dict(Machine.counts), flush=True)
            # What fails is not made shorter: each step takes seconds.
            stateful.run_state_machine_as_test(
                hypothesis.seed(number)(Machine),
                settings=hypothesis.settings(
                    max_examples=_RUNS, stateful_step_count=_STEPS,
                    deadline=None, database=None, print_blob=False,
                    phases=[hypothesis.Phase.generate],
                    suppress_health_check=list(hypothesis.HealthCheck)))
            number += 1
    print('stateful', dict(Machine.counts))


if __name__ == '__main__':
    main(*sys.argv[1:])
