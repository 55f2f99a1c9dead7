# SPDX-License-Identifier: Apache-2.0
"""Listing and removing what nobody needs."""

import argparse
from unittest import mock

from cinder_lvm_driver.cmd import database
from cinder_lvm_driver.cmd import leftovers
from cinder_lvm_driver.cmd import orphans
from tests.unit.cmd import base

GIB = base.backend.GIB


class TestLeftovers(base.CommandTestCase):

    settings = {'lvm_type': 'default'}

    def setUp(self):
        super().setUp()
        self.name = self.enable()
        self.lvm.add('temporary', GIB)
        self.lvm.add('precious', GIB)

    def leftovers(self, find=None, clean=False):
        def found(pools, _section):
            yield orphans.Orphan(text='Unknown LV')
            yield orphans.Orphan(text='Target', remove=self.remove_target)
            yield orphans.Orphan(text='Temporary LV', remove=lambda: pools[
                0].remover.remove(pools[0].vg.get_volume('temporary')))

        with mock.patch.object(orphans, 'find', find or found):
            return self.printed(leftovers.run, argparse.Namespace(
                backend=None, clean=clean))

    def test_list(self):
        self.assertEqual((1, [f'{self.name}: {text}' for text in (
            'Unknown LV', 'Target', 'Temporary LV')]), self.leftovers())
        self.assertEqual({'temporary', 'precious'}, self.machine.names())

    def remove_target(self):
        raise OSError('gone')

    def test_clean(self):
        """What cannot be removed does not keep the rest."""
        code, lines = self.leftovers(clean=True)
        self.assertEqual(2, code)
        self.assertEqual(['  Not cleaned up: gone', '  Cleaned up'],
                         [lines[2], lines[4]])
        self.assertEqual({'precious'}, self.machine.names())

    def test_agreement(self):
        self.assertEqual((0, []), self.leftovers(lambda *_: iter(())))

    def test_database_that_does_not_answer(self):
        def fail(*_):
            raise database.Unreachable('gone')

        code, lines = self.leftovers(fail, clean=True)
        self.assertEqual(2, code)
        self.assertIn('cannot be asked (gone)', lines[0])
        self.assertEqual({'temporary', 'precious'}, self.machine.names())

    def test_other_back_ends(self):
        """They are looked at, even if one does not answer."""
        other = self.enable()

        def find(_pools, section):
            if section.name == self.name:
                raise database.Unreachable('gone')
            return iter([orphans.Orphan(text='Unknown LV')])

        code, lines = self.leftovers(find)
        self.assertEqual((2, f'{other}: Unknown LV'), (code, lines[1]))

    def test_nothing_to_look_at(self):
        self.config.config(enabled_backends=None)
        self.assertEqual(2, self.leftovers()[0])
