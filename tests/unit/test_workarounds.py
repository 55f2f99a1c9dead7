# SPDX-License-Identifier: Apache-2.0
"""Answers to the order in which cinder-volume calls the driver."""

import threading
from unittest import mock

from cinder.image import image_utils
from cinder import privsep
from cinder import utils

from cinder_lvm_driver.privileged import ownership
from cinder_lvm_driver.privileged import verbs
from cinder_lvm_driver import workarounds
from tests import base
from tests.fakes import backend


class TestKeptExport(base.TestCase):

    def setUp(self):
        super().setUp()
        self.kept = workarounds.KeptExport()

    def test_once(self):
        self.assertFalse(self.kept.pop('a'))
        self.kept.keep('a')
        self.assertTrue(self.kept.pop('a'))
        self.assertFalse(self.kept.pop('a'))

    def test_another_volume_ends_it(self):
        self.kept.keep('a')
        self.assertFalse(self.kept.pop('b'))
        self.assertFalse(self.kept.pop('a'))

    def test_forgotten(self):
        self.kept.keep('a')
        self.kept.forget()
        self.assertFalse(self.kept.pop('a'))

    def test_another_thread_knows_nothing(self):
        self.kept.keep('a')
        answers = []
        thread = threading.Thread(
            target=lambda: answers.append(self.kept.pop('a')))
        thread.start()
        thread.join(30)
        self.assertEqual([False], answers)
        self.assertTrue(self.kept.pop('a'))


class TestBusySnapshots(base.TestCase):

    def test_of_one_volume_once(self):
        busy = workarounds.BusySnapshots()
        busy.add('s1', 'a')
        busy.add('s2', 'a')
        busy.add('s3', 'a')
        busy.add('s4', 'b')
        busy.discard('s3')
        busy.discard('unknown')
        self.assertEqual(['s1', 's2'], busy.pop_all('a'))
        self.assertEqual([], busy.pop_all('a'))
        self.assertEqual(['s4'], busy.pop_all('b'))


class TestServedAtStart(base.TestCase):

    def test_of_one_pass_once(self):
        served = workarounds.ServedAtStart()
        self.assertFalse(served.pop('a'))
        self.assertEqual(1, served.replace(['a']))
        self.assertEqual(2, served.replace(iter(['b', 'c'])))
        self.assertEqual([False, True, False],
                         [served.pop(volume_id) for volume_id in 'abb'])


class TestPrivilegedCode(backend.BackendTestCase):

    def client_mode(self, of_cinder):
        with mock.patch.object(verbs.context, 'client_mode', True), \
                mock.patch.object(privsep.sys_admin_pctxt, 'client_mode',
                                  of_cinder), \
                mock.patch.object(ownership, 'serve_root') as serve_root:
            self.make_driver()
            self.assertIs(not of_cinder, serve_root.called)
            return verbs.context.client_mode

    def test_runs_where_that_of_cinder_does(self):
        """As root, cinderlib has no daemons."""
        self.assertFalse(self.client_mode(of_cinder=False))
        self.assertTrue(self.client_mode(of_cinder=True))


class TestNativeThreads(backend.BackendTestCase):
    """What Cinder's helper hands to eventlet's pool of threads."""

    def make_driver_where(self, threads):
        with mock.patch.object(utils, 'concurrency_mode_threading',
                               create=True, return_value=threads):
            self.make_driver()

    def test_is_done_by_the_thread_that_calls(self):
        self.make_driver_where(threads=True)
        self.assertEqual(
            threading.get_ident(),
            image_utils.tpool.execute(threading.get_ident))

    def test_is_left_to_it_where_its_loop_runs(self):
        with mock.patch.object(image_utils, 'tpool') as tpool:
            self.make_driver_where(threads=False)
        tpool.set_num_threads.assert_not_called()
