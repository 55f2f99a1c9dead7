# SPDX-License-Identifier: Apache-2.0
import errno
import pickle

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
         'target iqn.x is not exported on this node: restart cinder-volume, '
         'which restores the exports of attached volumes, or detach the '
         'volume and attach it again'),
        (errors.TargetInUse('iqn.x', '/dev/vg/a (253:4)', '/dev/vg/b'),
         'target iqn.x serves /dev/vg/a (253:4) to an initiator that is '
         'logged in, so it cannot serve /dev/vg/b: log the initiator out '
         'first'),
        (errors.NamespaceInUse('nqn.x', '/dev/vg/a', '/dev/vg/b'),
         'subsystem nqn.x serves /dev/vg/a to its allowed hosts, so it '
         'cannot serve /dev/vg/b: detach the hosts first'),
        (errors.SubsystemOfAnotherHost('nqn.x', 'nqn.h'),
         'subsystem nqn.x serves volumes to nqn.h, so it cannot allow another '
         'host: two hosts have the same name, or a host has a new NQN. Give '
         'each host its own name, or detach the volumes that were attached '
         'under the old NQN'),
        (errors.NamespaceTaken('nqn.x', 10, '/dev/vg/a', '11-22'),
         'subsystem nqn.x serves /dev/vg/a with UUID 11-22 as namespace 10, '
         'the id under which its host knows this volume: detach this volume '
         'from the host and attach it again, which gives it a new id'),
        (errors.SubsystemFull('nqn.x'),
         'subsystem nqn.x has no free namespace id: detach a volume from its '
         'host first'),
        (errors.PortalNotAvailable('[::1]:3260', 'Address already in use'),
         'the kernel cannot listen on portal [::1]:3260: Address already in '
         'use'),
        (errors.TargetBusy('iqn.x', 30),
         'target iqn.x still has I/O in flight after 30 seconds: stop the '
         'I/O of its hosts, then try again'),
        (errors.TargetDaemonNotRunning('/run/s', 'refused'),
         'tgtd does not answer at /run/s (refused): install the package tgt '
         'and start the daemon (systemctl start tgt)'),
        (errors.TargetDaemonSilent('/run/s', 'timed out'),
         'tgtd sent no answer at /run/s (timed out), but may have done what '
         'it was asked to do: read its log, and if it hangs, restart it '
         '(systemctl restart tgt)'),
        (errors.TargetDaemonUnknown('/run/s', 'too short'),
         'the answer at /run/s is not one of a supported tgtd: too short'),
        (errors.TargetDaemonRefused('delete target', 7, 19),
         "tgtd refuses 'delete target' of target 7: the target has sessions"),
        (errors.TargetDaemonRefused('new account', -1, 99),
         "tgtd refuses 'new account': error 99"),
        (errors.ConfigfsError('write', '/sys/x', errno.EINVAL),
         'cannot write /sys/x: Invalid argument'),
        (errors.ConfigfsNotThere('create', '/sys/x', errno.ENOENT),
         'cannot create /sys/x: No such file or directory. Perhaps configfs '
         'is not mounted on this node: run mount -t configfs configfs '
         '/sys/kernel/config. Otherwise a kernel module was removed: restart '
         'cinder-volume, which loads it'),
    )
    @ddt.unpack
    def test_comes_out_of_the_daemon_as_it_was(self, error, text):
        """As oslo_privsep.daemon does it: class and arguments, by msgpack."""
        wire = msgpack.unpackb(msgpack.packb(error.args), use_list=False)
        again = type(error)(*wire)
        self.assertEqual(text, str(again))
        self.assertEqual(text, str(pickle.loads(pickle.dumps(again))))
