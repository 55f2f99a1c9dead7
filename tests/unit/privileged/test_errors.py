# SPDX-License-Identifier: Apache-2.0
import errno

import ddt
import msgpack

from cinder_lvm_driver.privileged import errors
from tests import base


@ddt.ddt
class TestErrors(base.TestCase):

    @ddt.data(
        (errors.InvalidArgument('portal', "'x' is no address"),
         "portal 'x' is no address"),
        (errors.DeviceNotUsable('/dev/vg/lv', 'is in use'),
         'device /dev/vg/lv is in use'),
        (errors.TargetNotFound('iqn.x'),
         'target iqn.x is not exported on this host: restart cinder-volume, '
         'which brings back the exports of attached volumes, or detach the '
         'volume and attach it again'),
        (errors.TargetInUse('iqn.x', '/dev/vg/a (253:4)', '/dev/vg/b'),
         'target iqn.x serves /dev/vg/a (253:4) to an initiator that is '
         'logged in, so it is not moved to /dev/vg/b: log the initiator out '
         'first'),
        (errors.NamespaceInUse('nqn.x', '/dev/vg/a', '/dev/vg/b'),
         'subsystem nqn.x serves /dev/vg/a to hosts that are allowed in, so '
         'it is not moved to /dev/vg/b: detach the hosts first'),
        (errors.SubsystemOfAnotherHost('nqn.x', 'nqn.h'),
         'subsystem nqn.x serves volumes to nqn.h, so no other host gets in: '
         'two hosts have one name, or a host has a new NQN and its old '
         'attachments have to go first'),
        (errors.NamespaceTaken('nqn.x', 10, '/dev/vg/a', '11-22'),
         'subsystem nqn.x serves /dev/vg/a with UUID 11-22 as namespace 10, '
         'which is the id that its host has for this volume: detach this '
         'volume from the host, which gives it another id when it is '
         'attached again'),
        (errors.SubsystemFull('nqn.x'),
         'subsystem nqn.x has no free namespace id'),
        (errors.PortalNotAvailable('[::1]:3260', 'Address already in use'),
         'the kernel cannot serve the portal [::1]:3260: Address already in '
         'use'),
        (errors.TargetBusy('iqn.x', 30),
         'target iqn.x still has I/O in flight after 30 seconds'),
        (errors.TargetDaemonNotRunning('/run/s', 'refused'),
         'tgtd does not answer at /run/s (refused): see that the package tgt '
         'is installed and start the daemon (systemctl start tgt)'),
        (errors.TargetDaemonSilent('/run/s', 'timed out'),
         'tgtd gave no answer at /run/s (timed out), and may have done what '
         'it was asked for: see its log, and if it hangs, restart it '
         '(systemctl restart tgt)'),
        (errors.TargetDaemonUnknown('/run/s', 'too short'),
         'what answers at /run/s is no tgtd that this driver knows: too '
         'short'),
        (errors.TargetDaemonRefused('delete target', 7, 19),
         "tgtd refuses 'delete target' of target 7: the target has sessions"),
        (errors.TargetDaemonRefused('new account', -1, 99),
         "tgtd refuses 'new account': error 99"),
        (errors.ConfigfsError('write', '/sys/x', errno.EINVAL),
         'cannot write /sys/x: Invalid argument'),
        (errors.ConfigfsNotThere('create', '/sys/x', errno.ENOENT),
         'cannot create /sys/x: No such file or directory. Perhaps configfs '
         'is not mounted on this host: mount -t configfs configfs '
         '/sys/kernel/config. Otherwise a kernel module was removed: restart '
         'cinder-volume, which loads it'),
    )
    @ddt.unpack
    def test_comes_out_of_the_daemon_as_it_was(self, error, text):
        """As oslo_privsep.daemon does it: class and arguments, by msgpack."""
        wire = msgpack.unpackb(msgpack.packb(error.args), use_list=False)
        self.assertEqual(text, str(type(error)(*wire)))
