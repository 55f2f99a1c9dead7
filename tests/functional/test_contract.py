# SPDX-License-Identifier: Apache-2.0
"""The contracts that hold the fakes to the truth, on the real thing."""

import os
import sys

from tests.functional import base


class ContractCases:
    """A module that needs root and two LVs, and so a process of its own."""

    pv_sizes = (256 * base.MIB,)

    def run_module(self, name, variable):
        devices = []
        for lv_name in 'one', 'two':
            self.root.run('lvcreate', '-qq', '-L', '64M', '-n', lv_name,
                          self.vg_name)
            devices.append(self.device(lv_name))
        done = self.root.try_run(
            'env', '-C', os.getcwd(), f'{variable}=' + ' '.join(devices),
            sys.executable, '-W', 'ignore', '-m', 'unittest',
            f'tests.functional.{name}')
        self.assertEqual(0, done.code, done.stderr)
        self.assertRegex(done.stderr, r'Ran [1-9][0-9]* tests')


class LIOContractTest(ContractCases, base.TestCase):

    def test_on_this_kernel(self):
        self.run_module('lio_on_kernel', 'LIO_DEVICES')


class TgtContractTest(ContractCases, base.TestCase):

    def test_on_this_daemon(self):
        self.run_module('tgt_on_daemon', 'TGT_DEVICES')
