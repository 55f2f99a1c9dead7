# SPDX-License-Identifier: Apache-2.0
"""Runs one section as root in the test machine; tools/bench starts it.

``python -m benchmarks SETTINGS_FILE``. Writes ``figures.json`` and the log of
the driver into the folder that the settings name.
"""

import importlib
import json
import os
import platform
import pwd
import shutil
import subprocess
import sys
import unittest

from benchmarks import agent
from cloud_lib import deployment
from cloud_lib import storage
from tests.functional import root

# It takes the files behind loop devices.
DISK, FOLDER = '/dev/vda', '/var/tmp/cinder-lvm-driver'
# The classes, by section.
SECTIONS = {
    'verbs': 'Verbs',
    'parts': 'Parts',
    'targets': 'Targets',
    'start': 'Start',
    'deletion': 'Deletion',
    'copies': 'Copies',
    'workers': 'Workers',
    'data_path': 'DataPath',
    'idle': 'Idle',
}


def prepare(settings):
    """Make this machine a storage node; return root's agent."""
    storage.mount_disk(DISK, FOLDER)
    deployment.deploy(settings['venv'])
    shutil.chown(settings['results'], 'cinder', 'cinder')
    os.environ['PATH'] = f'{settings["venv"]}/bin:{os.environ["PATH"]}'
    return root.split(pwd.getpwnam('cinder'), agent.Agent)


def facts():
    """Return what the figures were measured on."""
    from importlib import metadata
    # It complains that only root can ask device-mapper.
    lvm = subprocess.run(['/usr/sbin/lvm', 'version'], text=True,
                         stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL).stdout
    version = next(line for line in lvm.splitlines() if 'LVM version' in line)
    return {'Linux': platform.release(),
            'LVM': version.partition(':')[2].split()[0],
            'Python': platform.python_version(),
            'cinder': metadata.version('cinder'),
            'processors': os.cpu_count()}


def main(path):
    """Measure a section; return 0 if all of its operations succeeded."""
    with open(path) as file:
        settings = json.load(file)
    asked = prepare(settings)
    from benchmarks import recording
    from tests.functional import base
    base.use(asked, settings['results'])
    module = settings['section']
    section = getattr(importlib.import_module(f'benchmarks.{module}'),
                      SECTIONS[module])
    section.recorder = recording.Recorder(asked)
    section.arguments = settings['arguments']
    # A suite, because only a suite calls setUpClass.
    outcome = unittest.TextTestRunner().run(
        unittest.TestSuite([section()]))
    with open(f'{settings["results"]}/figures.json', 'w') as file:
        json.dump({'facts': facts(), 'arguments': settings['arguments'],
                   'rows': section.recorder.rows()}, file)
    return 0 if outcome.wasSuccessful() else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
