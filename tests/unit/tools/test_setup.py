# SPDX-License-Identifier: Apache-2.0
"""What tools/setup reads out of bindep.txt and the requirements."""

import os
import pathlib
import subprocess

import fixtures
import testtools

SETUP = pathlib.Path(__file__).parents[3] / 'tools' / 'setup'


class TestSetup(testtools.TestCase):

    def _ask(self, script):
        """Return the words that a script says with setup's functions."""
        done = subprocess.run(
            ['bash', '-c', f'source {SETUP} cache >/dev/null; {script}'],
            text=True, env={'PATH': os.environ['PATH'],
                            'CINDER_LVM_CACHE': '/none'},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual((0, ''), (done.returncode, done.stderr))
        return done.stdout.splitlines()

    def test_optional_profile(self):
        usual = self._ask('wanted_packages')
        self.assertIn('lvm2', usual)
        self.assertNotIn('mariadb-server', usual)
        self.assertEqual({'mariadb-server', 'rabbitmq-server',
                          'cryptsetup-bin'},
                         set(self._ask('wanted_packages openstack'))
                         - set(usual))

    def test_pinned_release(self):
        path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'r')
        with open(path, 'w') as file:
            file.write('# words\n\ncinder==29.0.0\npython-cinderclient>=9\n')
        ask = f'requirements=({path}); %s wanted_lines'
        self.assertEqual(['cinder==29.0.0', 'python-cinderclient>=9'],
                         self._ask(ask % ''))
        self.assertEqual(['python-cinderclient>=9', 'cinder==28.0.0'],
                         self._ask(ask % 'pins=(cinder==28.0.0);'))
