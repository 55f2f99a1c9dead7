# SPDX-License-Identifier: Apache-2.0
import os
import shutil
from unittest import mock

from cinder_lvm_driver.privileged.listening import Portal
from cinder_lvm_driver.privileged import nvmet_report
from tests.unit.privileged import test_nvmet

SUBSYSTEM = test_nvmet.SUBSYSTEM


class TestList(test_nvmet.NvmetTestCase):

    def test_what_another_tool_removes_meanwhile(self):
        self.create()
        other = SUBSYSTEM + '0'
        self.create(subsystem_nqn=other, device='/dev/vg/volume-2',
                    portals=[Portal('10.0.0.3', 4420)])
        opened = self.os.open
        for attribute, left in (
                ('ports/1/addr_traddr', [other, SUBSYSTEM]),
                (f'subsystems/{SUBSYSTEM}/attr_allow_any_host', [other])):
            path = f'{self.nvmet.root.path}/{attribute}'

            def open_too_late(asked, flags, path=path):
                if asked == path:
                    shutil.rmtree(os.path.dirname(path))
                return opened(asked, flags)

            with mock.patch.object(self.os, 'open', open_too_late):
                listed = nvmet_report.list_subsystems()
            self.assertEqual(sorted(left), sorted(listed))
            self.assertEqual((Portal('10.0.0.3', 4420),),
                             listed[other].portals)
