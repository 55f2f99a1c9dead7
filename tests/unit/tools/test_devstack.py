# SPDX-License-Identifier: Apache-2.0
"""The DevStack plugin, with stubs of DevStack's functions."""

import subprocess

import testtools

from tests.unit import tools

PLUGIN = tools.TREE / 'devstack'
_STUBS = """
set -eu
define_plugin() { :; }
is_service_enabled() { [[ $1 == $service ]]; }
# Like DevStack's, which installs the test requirements of a last argument.
pip_install() { echo pip "$@"; [[ ! -e ${!#}/test-requirements.txt ]]; }
sudo() { echo sudo "$@"; }
iniset() { echo iniset "$@"; }
iniget() {
    [[ $2 != nvme* ]] || case $3 in
    target_protocol) echo nvmet_tcp ;;
    target_port) echo 4420 ;;
    esac
}
die() { shift; echo "die $*"; exit 1; }
CINDER_CONF=/etc/cinder/cinder.conf CINDER_CONF_DIR=/etc/cinder
source "$plugin/settings"
source "$plugin/plugin.sh" "$@"
"""


class TestPlugin(testtools.TestCase):

    def _run(self, *phase, backends='lvm:one,ceph:two,lvm:nvme',
             service='c-vol'):
        done = subprocess.run(
            ['bash', '-c', _STUBS, 'stack.sh', *phase], text=True,
            env={'PATH': '/usr/bin:/bin', 'plugin': str(PLUGIN),
                 'CINDER_ENABLED_BACKENDS': backends, 'service': service},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual('', done.stderr)
        return done.stdout.splitlines()

    def test_install(self):
        self.assertEqual([f'pip {PLUGIN.parent} --no-deps'],
                         self._run('stack', 'install'))

    def test_every_lvm_back_end_and_no_other(self):
        conf = 'iniset /etc/cinder/cinder.conf'
        driver = 'cinder_lvm_driver.driver.LVMVolumeDriver'
        said = self._run('stack', 'post-config')
        self.assertEqual([f'{conf} one volume_driver {driver}',
                          f'{conf} nvme volume_driver {driver}',
                          f'{conf} nvme nvmeof_conn_info_version 2',
                          f'{conf} nvme target_port 4420'],
                         said[:-1])
        self.assertTrue(said[-1].endswith(
            'etc/cinder/rootwrap.d/lvm-driver.filters '
            '/etc/cinder/rootwrap.d/'), said[-1])

    def test_each_nvme_back_end_has_a_port_of_its_own(self):
        said = self._run('stack', 'post-config',
                         backends='lvm:nvme-1,lvm:one,lvm:nvme-2')
        self.assertEqual(
            ['nvme-1 target_port 4420', 'nvme-2 target_port 4421'],
            [line.partition('cinder.conf ')[2] for line in said
             if 'target_port' in line])

    def test_no_lvm_back_end(self):
        said = self._run('stack', 'post-config', backends='ceph:two')
        self.assertTrue(said[0].startswith('die no back end'))

    def test_clean(self):
        self.assertEqual(
            ['sudo rm -f /etc/cinder/rootwrap.d/lvm-driver.filters'],
            self._run('clean'))

    def test_other_phases_and_nodes(self):
        self.assertEqual([], self._run('stack', 'extra'))
        self.assertEqual([], self._run('unstack'))
        self.assertEqual([], self._run('stack', 'install',
                                       service='n-cpu'))
