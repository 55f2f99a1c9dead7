# SPDX-License-Identifier: Apache-2.0
"""cinderlib's own functional tests, for a Cinder newer than it knows.

They begin with a database of Cinder's, whose module has another name since
Cinder 27, and go on with cinderlib's own storage: here, they begin with that.
"""

import sys
import unittest

import cinderlib

TESTS = 'cinderlib.tests.functional.test_basic.BackendFunctBasic'
_setup = cinderlib.setup


def _setup_in_memory(**settings):
    _setup(**{**settings, 'persistence_config': {'storage': 'memory'}})


if __name__ == '__main__':
    cinderlib.setup = _setup_in_memory
    unittest.main(module=None, argv=[sys.argv[0], '-v', TESTS])
