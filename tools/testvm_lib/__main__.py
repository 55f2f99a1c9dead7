# SPDX-License-Identifier: Apache-2.0
"""The program ``tools/testvm``: run a command as root in an emulated machine.

The machine runs Debian's kernel, with real device-mapper, LIO, nvmet and
initiators. Its root is the file system of this machine below an overlay in
memory: changes do not last.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(
    os.path.realpath(__file__))))

from testvm_lib import main

if __name__ == '__main__':
    sys.exit(main.main(sys.argv[1:]))
