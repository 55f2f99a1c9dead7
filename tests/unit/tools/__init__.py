# SPDX-License-Identifier: Apache-2.0
"""Tests of tools/ and devstack/; they import from tools/."""

import pathlib
import sys

TREE = pathlib.Path(__file__).parents[3]
TOOLS = TREE / 'tools'

sys.path.insert(0, str(TOOLS))
