# SPDX-License-Identifier: Apache-2.0
import ddt

from cinder_lvm_driver.privileged.chap import Chap
from cinder_lvm_driver.privileged import errors
from tests import base


@ddt.ddt
class TestChap(base.TestCase):

    def test_valid(self):
        for chap in Chap('n!', 's~' * 127), Chap('name', 'secret'):
            self.assertEqual(chap, chap.validated())
        chap = Chap('a.b', 'C-d_1')
        self.assertEqual(chap, chap.validated_for_tgt())

    @ddt.data(Chap('na me', 'secret'), Chap('name', 's3cret\n'))
    def test_invalid(self, chap):
        for check in chap.validated, chap.validated_for_tgt:
            error = self.assertRaises(errors.InvalidArgument, check)
            self.assertNotIn('s3cret', repr(error) + str(error))

    @ddt.data(Chap('n!', 'secret'), Chap('name', 's3cret~'))
    def test_invalid_for_tgt(self, chap):
        chap.validated()
        error = self.assertRaises(errors.InvalidArgument,
                                  chap.validated_for_tgt)
        self.assertNotIn('s3cret', repr(error) + str(error))

    def test_the_secret_is_not_shown(self):
        chap = Chap('name', 's3cret')
        for text in (repr(chap), str(chap), '%s' % chap):
            self.assertNotIn('s3cret', text)
