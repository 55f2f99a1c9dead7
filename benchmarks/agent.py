# SPDX-License-Identifier: Apache-2.0
"""Root's agent, which can also change configfs without a process."""

import os

from tests.functional import root


def _write(path, text):
    with open(path, 'w') as file:
        file.write(text)


_STEPS = {'mkdir': os.mkdir, 'rmdir': os.rmdir, 'write': _write,
          'link': os.symlink, 'unlink': os.unlink}


class Agent(root.Agent):
    """Serves a benchmark."""

    def do_configfs(self, steps):
        """Take steps, each the name of one and its arguments."""
        for step, *arguments in steps:
            _STEPS[step](*arguments)
        return {}
