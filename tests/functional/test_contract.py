# SPDX-License-Identifier: Apache-2.0
"""The contracts that hold the fakes to the truth, on the real thing."""

import os
import sys

from tests.functional import base


class Contract:
    """A module of cases, which need root and so a process of their own.

    Give ``MODULE``, and ``VARIABLE``, by which it is told two LVs.
    """

    seconds = 120
    pv_sizes = (256 * base.MIB,)

    def test_on_this_kernel(self):
        devices = []
        for name in 'one', 'two':
            self.root.run('lvcreate', '-qq', '-L', '64M', '-n', name,
                          self.vg_name)
            devices.append(self.device(name))
        done = self.root.try_run(
            'env', '-C', os.getcwd(),
            f'{self.VARIABLE}=' + ' '.join(devices),
            sys.executable, '-W', 'ignore', '-m', 'unittest', self.MODULE)
        self.assertEqual(0, done.code, done.stderr)
        self.assertRegex(done.stderr, r'Ran [1-9][0-9]* tests')


class LIOContractTest(Contract, base.TestCase):
    MODULE = 'tests.functional.lio_on_kernel'
    VARIABLE = 'LIO_DEVICES'


@base.slow
class NvmetContractTest(Contract, base.TestCase):
    MODULE = 'tests.functional.nvmet_on_kernel'
    VARIABLE = 'NVMET_DEVICES'


@base.slow
class TgtContractTest(Contract, base.TestCase):
    MODULE = 'tests.functional.tgt_on_daemon'
    VARIABLE = 'TGT_DEVICES'
