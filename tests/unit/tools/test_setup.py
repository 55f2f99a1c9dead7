# SPDX-License-Identifier: Apache-2.0
"""tools/setup: packages, requirements, and the services it forbids."""

import os
import subprocess

import fixtures
import testtools

from tests.unit import tools

SETUP = tools.TOOLS / 'setup'


class TestSetup(testtools.TestCase):

    def _ask(self, script):
        """Return the output of a script that uses setup's functions."""
        done = subprocess.run(
            ['bash', '-c', f'source "{SETUP}" cache >/dev/null; {script}'],
            text=True, env={'PATH': os.environ['PATH'],
                            'CINDER_LVM_CACHE': '/none'},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual((0, ''), (done.returncode, done.stderr))
        return done.stdout.splitlines()

    def test_optional_profile(self):
        usual = self._ask('wanted_packages')
        self.assertIn('lvm2', usual)
        self.assertNotIn('mariadb-server', usual)
        self.assertEqual({'mariadb-server', 'rabbitmq-server'},
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

    def test_lists_that_are_locked(self):
        folder = self.useFixture(fixtures.TempDir()).path
        ask = (f'cd "{folder}"; touch locked; sleep() {{ rm locked; }}; '
               'apt_get() { echo "asked $*"; [ ! -e locked ] || '
               '{ echo "E: Could not get lock /x/lists/lock" >&2; false; }; }'
               '; update_lists log')
        self.assertEqual(['asked update'] * 2, self._ask(ask))

    def test_lists_that_cannot_be_had(self):
        folder = self.useFixture(fixtures.TempDir()).path
        ask = (f'cd "{folder}"; apt_get() {{ echo asked; echo "E: no" >&2; '
               'false; }; (update_lists log 2>&1) || echo failed')
        self.assertEqual(
            ['asked', 'E: no', 'setup: error: apt-get update failed',
             'failed'], self._ask(ask))

    def test_cache_is_named_for_all_folders(self):
        self.assertEqual(
            [os.path.join(os.getcwd(), 'c'), '/a b'],
            self._ask(f'CINDER_LVM_CACHE=./c bash "{SETUP}" cache; '
                      f'CINDER_LVM_CACHE="/a b/" bash "{SETUP}" cache'))


    def test_cache_folder(self):
        for environ, path in (
                ({'CINDER_LVM_CACHE': '/a', 'XDG_CACHE_HOME': '/b'}, '/a'),
                ({'XDG_CACHE_HOME': '/b'}, '/b/cinder-lvm-driver'),
                ({'CINDER_LVM_CACHE': '', 'XDG_CACHE_HOME': ''},
                 '/var/cache/cinder-lvm-driver'),
                ({}, '/var/cache/cinder-lvm-driver')):
            self.assertEqual(f'{path}\n', subprocess.run(
                [SETUP, 'cache'], env={'PATH': os.environ['PATH'], **environ},
                check=True, text=True, stdout=subprocess.PIPE).stdout)


class TestServices(testtools.TestCase):
    """The installation starts and enables no service."""

    FOREIGN = 'exit 101\n'

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.policy = os.path.join(self.folder, 'policy')
        self.wants = os.path.join(self.folder, 'units', 'multi-user.wants')
        self.setup = os.path.join(self.folder, 'setup')
        os.makedirs(self.wants)
        os.symlink('/none', os.path.join(self.wants, 'ssh.service'))
        text = SETUP.read_text()
        for before, after in (
                ('/usr/sbin/policy-rc.d', self.policy),
                ('/etc/systemd/system', os.path.join(self.folder, 'units'))):
            self.assertIn(before, text)
            text = text.replace(before, after)
        with open(self.setup, 'w') as file:
            file.write(text)

    def _install(self, end):
        """Simulate the installation of a service; return the result.

        :returns: the services, and whether they are forbidden
        """
        subprocess.run(
            ['bash', '-c', f'source "{self.setup}" cache >/dev/null; '
             f'forbid_services; test -x "{self.policy}" || exit; '
             f'ln -s /none "{self.wants}/tgt.service"; {end}'],
            env={'PATH': os.environ['PATH'], 'CINDER_LVM_CACHE': '/none'},
            check=False, stderr=subprocess.DEVNULL)
        return sorted(os.listdir(self.wants)), os.path.exists(self.policy)

    def test_end(self):
        for end in 'allow_services', 'die "no such package"', 'kill -TERM $$':
            self.assertEqual((['ssh.service'], False), self._install(end))

    def test_policy_of_somebody_else(self):
        with open(self.policy, 'w') as file:
            file.write(self.FOREIGN)
        os.chmod(self.policy, 0o755)
        self.assertEqual((['ssh.service'], True), self._install('exit'))
        with open(self.policy) as file:
            self.assertEqual(self.FOREIGN, file.read())

    def test_policy_that_was_left(self):
        self.assertEqual((['ssh.service', 'tgt.service'], True),
                         self._install('kill -KILL $$'))
        self.assertEqual((['ssh.service', 'tgt.service'], False),
                         self._install('exit'))
