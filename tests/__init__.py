# SPDX-License-Identifier: Apache-2.0
"""The tests; ``doc/source/contributor/testing.rst`` tells which is which."""

import pathlib

from cinder import objects

# As every service of Cinder does before it imports anything else: drivers
# name the registered classes in their signatures.
objects.register_all()

# What runs anywhere, without root and without a process of its own.
# tests/functional belongs into the test machine and has its own runner.
ANYWHERE = ('unit', 'contract')


def load_tests(loader, tests, pattern):
    """Collect the tests that run anywhere (unittest's load_tests protocol).

    ``stestr run`` and ``python -m unittest discover`` ask here.
    """
    here = pathlib.Path(__file__).parent
    for name in ANYWHERE:
        if (here / name / '__init__.py').is_file():
            tests.addTests(loader.discover(
                str(here / name), pattern=pattern or 'test*.py',
                top_level_dir=str(here.parent)))
    return tests
