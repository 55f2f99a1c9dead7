# SPDX-License-Identifier: Apache-2.0
from unittest import mock

from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver import rollback
from tests import base


class TestUndo(base.TestCase):

    def setUp(self):
        super().setUp()
        self.steps = mock.Mock()

    def test_undone_in_reverse_order(self):
        with rollback.Undo() as undo:
            undo.later(self.steps.one, 'x')
            undo.later(self.steps.two)
        self.assertEqual([mock.call.two(), mock.call.one('x')],
                         self.steps.mock_calls)

    def test_kept(self):
        with rollback.Undo() as undo:
            undo.later(self.steps.one)
            undo.keep()
        self.assertEqual([], self.steps.mock_calls)

    def test_complaint(self):
        self.steps.one.side_effect = errors.TargetNotFound('a')
        with rollback.Undo('LV x stays; remove it') as undo:
            undo.later(self.steps.one)
        self.assertIn('LV x stays; remove it: target a', self.log.output)

    def test_the_first_failure_is_raised(self):
        self.steps.two.side_effect = errors.TargetNotFound('later')

        def fail():
            with rollback.Undo() as undo:
                undo.later(self.steps.one)
                undo.later(self.steps.two)
                raise errors.TargetNotFound('first')

        error = self.assertRaises(errors.TargetNotFound, fail)
        self.assertEqual('first', error.target)
        self.steps.one.assert_called_once_with()
        self.assertIn('While undoing what could not be completed: target '
                      'later', self.log.output)
