# SPDX-License-Identifier: Apache-2.0
"""Tests of the programs in tools/, which import from there."""

import pathlib
import sys

TREE = pathlib.Path(__file__).parents[3]
TOOLS = TREE / 'tools'

sys.path.insert(0, str(TOOLS))
