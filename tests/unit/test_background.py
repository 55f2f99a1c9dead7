# SPDX-License-Identifier: Apache-2.0
"""Work beside everything else."""

import threading

from cinder_lvm_driver import background
from tests import base


class TestStart(base.TestCase):

    def test_work_is_done_in_a_thread_that_keeps_nobody_waiting(self):
        threads, done = [], threading.Event()

        def work():
            threads.append(threading.current_thread())
            done.set()

        background.start('some-work', work)
        self.assertTrue(done.wait(60))
        self.assertEqual(('some-work', True),
                         (threads[0].name, threads[0].daemon))
