# SPDX-License-Identifier: Apache-2.0
"""What tools/setup installs, asked for by the other tools."""

import os
import subprocess

from cloud_lib import errors

TOOLS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TREE = os.path.dirname(TOOLS)


def setup(*words: str) -> str:
    """Return the output of ``tools/setup WORDS``."""
    done = subprocess.run([f'{TOOLS}/setup', *words], text=True,
                          stdout=subprocess.PIPE)
    if done.returncode:
        raise errors.CloudError(f'tools/setup {" ".join(words)} ended with '
                                f'{done.returncode} (messages above)')
    return done.stdout.strip()
