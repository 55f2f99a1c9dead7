# SPDX-License-Identifier: Apache-2.0
"""Hosts, volumes and a target for the tests of target_helper nvmet."""

import json
import os
from unittest import mock

import fixtures

from cinder_lvm_driver.privileged import nvmet_report
from cinder_lvm_driver import process
from cinder_lvm_driver.targets import nvmet
from tests import base
from tests.contract import test_nvmet as contract
from tests.unit.privileged import fake_nvmet
from tests.unit.targets import fake_volume

HOST = {'nqn': contract.HOST, 'host': 'a', 'ip': '10.0.0.9'}
OTHER_HOST = {'nqn': contract.OTHER_HOST, 'host': 'b', 'ip': '10.0.0.8'}
DEVICES = ('/dev/vg/volume-1', '/dev/vg/volume-2')
Namespace = nvmet_report.ListedNamespace
PREFIX = f'nqn.{fake_volume.PREFIX}-'


def nqn(volume):
    return PREFIX + volume.id


def new_volume(number=1, connectors=(), **values):
    """Return a volume that has never been exported."""
    return fake_volume.volume(number, connectors, **{
        'provider_location': None, 'provider_auth': None, **values})


def volume(number=1, connectors=(), **values):
    """Return a volume that has a subsystem of its own."""
    made = new_volume(number, connectors, **values)
    made.provider_location = f'10.0.0.1:4420 tcp {nqn(made)} 10'
    return made


def shared_volume(number=1, connectors=(), **values):
    """Return a volume that is served in the subsystems of its hosts."""
    return new_volume(number, connectors,
                      provider_location=DEVICES[number - 1], **values)


class Row(dict):
    """A volume as Cinder's class wants it: with indexes and attributes."""

    __getattr__ = dict.__getitem__


class NvmetTestCase(base.TestCase):

    def setUp(self):
        super().setUp()
        self.nvmet = self.useFixture(fake_nvmet.FakeNvmet())
        self.runner = mock.create_autospec(process.Runner, instance=True)
        self.target = self.make()

    def make(self, **values):
        return nvmet.NvmetTarget(self.configuration(**values), self.runner)

    def configuration(self, **values):
        return fake_volume.configuration(**{
            'target_helper': 'nvmet', 'target_protocol': 'nvmet_tcp',
            'target_port': 4420, **values})

    def write_keys(self, keys):
        path = self.useFixture(fixtures.TempDir()).join('keys.json')
        with open(path, 'w') as file:
            json.dump(keys, file)
        os.chmod(path, 0o600)
        return path

    def listed(self, name):
        return nvmet_report.list_subsystems()[name]

    def key(self, host_nqn):
        return (self.nvmet.root / 'hosts' / host_nqn).read('dhchap_key')
