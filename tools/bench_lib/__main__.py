# SPDX-License-Identifier: Apache-2.0
"""The program ``tools/bench``: this driver beside the in-tree driver."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(
    os.path.realpath(__file__))))

from bench_lib import launch

if __name__ == '__main__':
    sys.exit(launch.main(sys.argv[1:]))
