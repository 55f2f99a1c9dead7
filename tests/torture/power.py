# SPDX-License-Identifier: Apache-2.0
"""In the machine: look at what a power cut has left, then make requests.

tests/torture/cut.py cuts the power. The journal is on the host: it has

``{"begin": ...}``
    before a request,
``{"done": ...}``
    when the driver has answered, which Cinder and its user then know, and
``{"forget": true}``
    when an interrupted request has been dealt with.

The disks: /dev/vda has the state folder of Cinder, /dev/vdb to /dev/vde are
the PVs of the two VGs.
"""

import dataclasses
import json
import random
import subprocess
import sys

from tests.torture import __main__ as program
from tests.torture import model as models

_VGS = {'power': ('/dev/vdb', '/dev/vdc'),
        'power-other': ('/dev/vdd', '/dev/vde')}
_SETTINGS = {'thin': {'lvm_type': 'thin'},
             'thick': {'lvm_type': 'default', 'volume_clear_size': 1}}


def replay(path, layout):
    """Return what a journal says.

    :returns: the model, updates of Cinder's objects, and the request that
        was not answered, if there is one
    """
    model = models.Model(is_thick=layout == 'thick')
    updates, action, is_new = {}, None, True
    with open(path) as journal:
        for line in journal:
            if not line.endswith('\n'):
                break
            entry = json.loads(line)
            is_new = False
            if 'begin' in entry:
                action = models.Action(**entry['begin'])
            elif 'done' in entry:
                model = model.after(action)
                updates.setdefault(str(action.number), {}).update(
                    entry['done'])
                action = None
            elif 'forget' in entry:
                model.last = max(model.last, action.number)
                action = None
    return model, updates, action, is_new


class Journal:
    """A file of the host, which survives the end of the machine."""

    def __init__(self, path):
        self._file = open(path, 'ab', buffering=0)

    def add(self, **entry):
        self._file.write(json.dumps(entry).encode() + b'\n')


def main(results, path, layout, seed):
    agent = program.prepare(results)
    # Cinder's logging would keep it to the log.
    sys.excepthook = sys.__excepthook__
    from cinder_lvm_driver import driver
    from tests.functional import base
    from tests.torture import rig as rigs
    from tests.torture import world as worlds
    model, updates, action, is_new = replay(path, layout)
    journal = Journal(path)
    rigs.Cinder.root, rigs.Cinder.vg_name = agent, 'power'
    rigs.Cinder.context = base.context.get_admin_context()
    if is_new:
        for name, devices in _VGS.items():
            subprocess.run(['vgcreate', '-qq', name, *devices], check=True)
            subprocess.run(['sync', *devices], check=True)
    world = worlds.World(driver.LVMVolumeDriver, {
        **_SETTINGS[layout], 'target_helper': 'lioadm'}, list(_VGS))
    world.model, world.updates = model, updates
    world.start()
    wrong = world.differences(action)
    if action is not None:
        world.finish(action)
        journal.add(**({'forget': True} if world.model is model else {
            'done': world.updates.get(str(action.number), {})}))
        wrong += world.differences()
    for each in wrong:
        print(f'finding: {action}: {each}', flush=True)
    print(f'checked {len(model.volumes)} volumes', flush=True)
    chance = random.Random(seed)
    while True:
        choices = world.model.actions()
        # By name first: all kinds of requests are equally frequent.
        name = chance.choice(sorted({each.name for each in choices}))
        action = chance.choice([each for each in choices
                                if each.name == name])
        journal.add(begin=dataclasses.asdict(action))
        journal.add(done=world.do(action))


if __name__ == '__main__':
    main(*sys.argv[1:])
