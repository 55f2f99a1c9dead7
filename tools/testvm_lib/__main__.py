# SPDX-License-Identifier: Apache-2.0
"""Be ``tools/testvm``: run one command as root in a small emulated machine.

The machine has Debian's own kernel, so device-mapper, LIO, nvmet and the
initiators are real; its root is this machine's file system below a memory
disk, so that nothing it does lasts.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(
    os.path.realpath(__file__))))

from testvm_lib import main

if __name__ == '__main__':
    sys.exit(main.main(sys.argv[1:]))
