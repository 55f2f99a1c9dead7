# SPDX-License-Identifier: Apache-2.0
"""What crosses between the service and the privileged daemon, and how."""

from unittest import mock

import msgpack

from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged.listening import Portal
from cinder_lvm_driver.privileged.listening import Refused
from cinder_lvm_driver.privileged import tgt
from cinder_lvm_driver.privileged import tgt_objects
from cinder_lvm_driver.privileged import verbs
from tests import base
from tests.unit.privileged import fake_channel

PORTAL = Portal('10.0.0.1', 3260)


class TestEntrypoint(base.TestCase):

    def setUp(self):
        super().setUp()
        patch = fake_channel.patch()
        patch.start()
        self.addCleanup(patch.stop)

    def listen(self, **answer):
        with mock.patch.object(tgt_objects, 'ensure_portals',
                               **answer) as verb:
            reply = tgt.ensure_portals([PORTAL, PORTAL])
        verb.assert_called_once_with([PORTAL, PORTAL])
        return reply

    def test_values(self):
        refused = (Refused('10.0.0.1:3260', 'in use'),)
        self.assertEqual(refused, self.listen(return_value=refused))

    def test_errors(self):
        error = self.assertRaises(
            errors.PortalNotAvailable, self.listen,
            side_effect=errors.PortalNotAvailable('x', reason='y'))
        self.assertEqual(('x', 'y'), error.args)
        self.assertEqual('y', error.reason)

    def test_other_classes_do_not_cross(self):
        for item in ({'__class__': 'builtins.str'},
                     {'__class__': f'{Portal.__module__}.Portal', 'x': 1}):
            self.assertRaises((KeyError, TypeError),
                              tgt.ensure_portals, [item])

    def test_plain_on_the_wire(self):
        packed = verbs._pack({'a': [PORTAL, None]})
        self.assertEqual(packed, fake_channel.sent(packed))
        self.assertEqual({'a': (PORTAL, None)}, verbs._unpack(packed))
        self.assertRaises(TypeError, msgpack.packb, PORTAL)

    def test_name_and_documentation_stay(self):
        self.assertEqual('ensure_portals', tgt.ensure_portals.__name__)
        self.assertIn('Make tgtd listen', tgt.ensure_portals.__doc__)
