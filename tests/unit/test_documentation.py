# SPDX-License-Identifier: Apache-2.0
"""What the manual takes from the source is complete."""

import pathlib
import sys

import ddt
import fixtures

from cinder_lvm_driver import options
from tests import base

EXTENSIONS = pathlib.Path(__file__).parents[2] / 'doc/source/_extensions'


class ExtensionTestCase(base.TestCase):

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.MonkeyPatch(
            'sys.path', [str(EXTENSIONS), *sys.path]))


@ddt.ddt
class TestLogMessages(ExtensionTestCase):

    def setUp(self):
        super().setUp()
        import log_messages
        self.messages = log_messages.messages

    def test_messages_of_the_driver(self):
        """One of each kind that the source has, with its level."""
        found = self.messages()
        for kind, text in (
                ('error', 'Volume … is attached, but its LV does not exist'),
                ('error', '… … is busy: …'),
                ('error', 'Thin pool … is still out of step'),
                ('warning', 'Removing LV … of an interrupted migration'),
                ('down', 'LVM reports thin pool … as …')):
            self.assertIn(text, found[kind])
        self.assertIn('COW snapshot … has overflowed', str(found['error']))
        self.assertIn('does not zero blocks', str(found['advice']))

    @ddt.data(
        ("LOG.warning('%s of %d', a, b)", 'warning', '… of …'),
        ("LOG.exception('LV %s is lost', a)", 'error', 'LV … is lost'),
        ("reason = f'{a} is busy'; LOG.error('%s', reason)", 'error',
         '… is busy'),
        ("errors.attempt(f'LV {a} stays', step)", 'error', 'LV … stays'))
    @ddt.unpack
    def test_forms(self, line, kind, text):
        self.assertEqual({kind: {text}}, self.read(f'def f():\n    {line}\n'))

    def test_lower_levels_are_left_out(self):
        self.assertEqual({}, self.read("def f():\n    LOG.info('All well')\n"))

    def test_message_that_cannot_be_read(self):
        """It is a warning of the build, which then fails."""
        logger = self.useFixture(fixtures.FakeLogger())
        self.assertEqual({}, self.read('def f():\n    LOG.error(text)\n'))
        self.assertIn('cannot read the message of LOG.error in f',
                      logger.output)

    def read(self, source):
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        (folder / 'module.py').write_text(source)
        return dict(self.messages(folder))


class TestOptions(ExtensionTestCase):

    def test_every_option_is_in_the_tables_once(self):
        import option_table
        names = [option.dest for which in ('own', 'shared', 'cinder')
                 for option in option_table._select(which)]
        self.assertEqual(len(names), len(set(names)))
        self.assertLessEqual(
            {option.dest for option in options.driver_options()}, set(names))
