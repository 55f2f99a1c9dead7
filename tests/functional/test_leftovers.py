# SPDX-License-Identifier: Apache-2.0
"""``cinder-lvm leftovers``, with a database of Cinder's models."""

import argparse
import contextlib
import io
import os
import uuid

from cinder.db import api
from cinder.db import models
from cinder.volume import manager
import sqlalchemy

from cinder_lvm_driver.cmd import leftovers
from tests.functional import base
from tests.functional import test_attach

CONF = base.CONF
MIB = base.MIB


class LeftoversTest(test_attach.AttachTestCase):

    pv_sizes = (256 * MIB,)
    settings = {'lvm_type': 'default', 'volume_clear_size': 1}

    def setUp(self):
        super().setUp()
        self.enterContext(base.daemons_shared())
        config = self.driver.configuration
        config.append_config_values(manager.volume_backend_opts)
        self.group = config.config_group
        CONF.set_override(
            'volume_driver', 'cinder_lvm_driver.driver.LVMVolumeDriver',
            group=self.group)
        self.override('enabled_backends', [self.group])
        self.path = f'{CONF.state_path}/tmp/leftovers.sqlite'
        self.override('connection', f'sqlite:///{self.path}', 'database')
        engine = sqlalchemy.create_engine(f'sqlite:///{self.path}')
        models.BASE.metadata.create_all(engine)
        engine.dispose()
        self.addCleanup(os.unlink, self.path)

    def override(self, name, value, group=None):
        CONF.set_override(name, value, group=group)
        self.addCleanup(CONF.clear_override, name, group=group)

    def known(self):
        """Put a volume with an LV into the database."""
        volume = self.create_small(8 * MIB)
        api.volume_create(self.context, {
            'id': volume.id, 'size': 1, 'project_id': 'p', 'user_id': 'u',
            'host': f'{CONF.host}@{self.group}#pool', 'status': 'available',
            'attach_status': 'detached', 'volume_type_id': str(uuid.uuid4())})
        return volume

    def leftovers(self, clean=False):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = leftovers.run(argparse.Namespace(backend=None,
                                                    clean=clean))
        return code, out.getvalue()

    @base.slow  # SQLAlchemy takes the emulated machine half a minute.
    def test_what_nobody_needs(self):
        self.assertEqual((0, ''), self.leftovers())
        known, unknown = self.known(), f'volume-{uuid.uuid4()}'
        temporary = f'clone-snap-volume-{uuid.uuid4()}'
        for name in unknown, temporary:
            self.root.run('lvcreate', '-qq', '-y', '-L', '8M', '-n', name,
                          self.vg_name)
        self.addCleanup(self.root.run, 'lvremove', '-qq', '-y',
                        f'{self.vg_name}/{unknown}')
        self.store(known, self.driver.create_export(self.context, known,
                                                    self.connector))
        base.SECRETS.add(known.provider_auth.split()[2])
        code, text = self.leftovers()
        self.assertEqual(1, code)
        for pattern in (f'{unknown} has the name of a volume that Cinder',
                        f'Temporary LV .*{temporary} is of no use',
                        f'Volume {known.id} is served, but no host may use'):
            self.assertRegex(text, pattern)
        self.assertEqual(3, len(self.lv_names()))
        self.assertEqual(1, len(self.targets()))

        code, text = self.leftovers(clean=True)
        self.assertEqual((1, 2), (code, text.count('Cleaned up')), text)
        self.assertEqual({known.name, unknown}, self.lv_names())
        self.assertEqual([], self.targets())

    def test_no_database(self):
        self.override('connection', 'sqlite:////nowhere/x', 'database')
        code, text = self.leftovers(clean=True)
        self.assertEqual(2, code)
        self.assertIn("Cinder's database cannot be asked", text)
