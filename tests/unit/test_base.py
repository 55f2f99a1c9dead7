# SPDX-License-Identifier: Apache-2.0
"""The promises of tests.base hold."""

import logging
import os
import subprocess
import tempfile
import time

from oslo_concurrency import lockutils
from oslo_config import cfg
import testtools

from tests import base


class TestForbidden(testtools.TestCase):
    """Each of these is a test of a test."""

    def _run_case(self, body, **attributes):
        case = type('Case', (base.TestCase,),
                    {'runTest': lambda _self: body(), **attributes})()
        result = testtools.TestResult()
        case.run(result)
        return result

    def test_quiet(self):
        self.assertTrue(self._run_case(lambda: None).wasSuccessful())

    def test_sleep(self):
        result = self._run_case(lambda: time.sleep(0))
        self.assertFalse(result.wasSuccessful())

    def test_sleep_that_is_swallowed(self):
        def body():
            try:
                time.sleep(0)
            except AssertionError:
                pass

        self.assertFalse(self._run_case(body).wasSuccessful())

    def test_sleep_allowed(self):
        result = self._run_case(lambda: time.sleep(0), may_sleep=True)
        self.assertTrue(result.wasSuccessful())

    def test_process(self):
        result = self._run_case(lambda: subprocess.run(['true']))
        self.assertFalse(result.wasSuccessful())

    def test_process_allowed(self):
        result = self._run_case(
            lambda: subprocess.run(['true'], check=True),
            may_run_processes=True)
        self.assertTrue(result.wasSuccessful())

    def test_everything_is_put_back(self):
        sleep, popen = time.sleep, subprocess.Popen.__init__
        self._run_case(lambda: None)
        self.assertIs(sleep, time.sleep)
        self.assertIs(popen, subprocess.Popen.__init__)


class TestSurroundings(base.TestCase):

    def test_log(self):
        logging.getLogger('cinder_lvm_driver').debug('seen')
        self.assertIn('DEBUG cinder_lvm_driver: seen', self.log.output)

    def test_locks_are_private(self):
        with lockutils.lock('one', external=True):
            folder = cfg.CONF.oslo_concurrency.lock_path
            self.assertIn('one', os.listdir(folder))
        self.assertTrue(folder.startswith(tempfile.gettempdir()))
