# SPDX-License-Identifier: Apache-2.0
"""A program that uses the driver through cinderlib, as root.

The tests are cinderlib's own. It is installed without its requirements, which
name an older Cinder, in a folder of the virtual environment (tools/setup).
"""

import os
import sys

import yaml

from tests.functional import base

FOLDER = os.path.join(sys.prefix, 'cinderlib')


@base.slow
class CinderlibTest(base.TestCase):

    seconds = 240
    pv_sizes = (8 * base.GIB,)

    def test_its_own_functional_tests(self):
        self.assertTrue(os.path.isdir(FOLDER), f'no cinderlib in {FOLDER}')
        folder = self.root.run('mktemp', '-d').strip()
        self.addCleanup(self.root.run, 'rm', '-r', folder)
        self.root.run('tee', f'{folder}/lvm.yaml', text=yaml.safe_dump({
            'logs': False, 'debug': False, 'backends': [{
                'volume_backend_name': 'lvm', 'lvm_type': 'thin',
                'volume_driver': 'cinder_lvm_driver.driver.LVMVolumeDriver',
                'volume_group': self.vg_name, 'target_protocol': 'iscsi',
                'target_helper': 'lioadm',
                'target_ip_address': '127.0.0.1'}]}))
        done = self.root.try_run(
            'env', '-C', folder, f'CL_FTEST_CFG={folder}/lvm.yaml',
            'CL_FTEST_MEMORY_PERSISTENCE=false',
            f'PYTHONPATH={FOLDER}:{os.getcwd()}', sys.executable, '-W',
            'ignore', '-m', 'tests.functional.cinderlib_in_memory')
        self.assertEqual(0, done.code, done.stderr)
        self.assertRegex(done.stderr, r'Ran [1-9][0-9] tests')
