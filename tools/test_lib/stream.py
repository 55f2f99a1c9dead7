# SPDX-License-Identifier: Apache-2.0
"""Runs a program that writes subunit, the stream of test results."""

from collections.abc import Callable, Mapping, Sequence
import subprocess
from typing import Any

import subunit
import testtools

# The name of other output among the tests.
OTHER = 'stdout'


def run(command: Sequence[str], on_test: Callable[[dict[str, Any]], None],
        **options: Any) -> int:
    """Run a program that writes subunit; return its exit status.

    :param on_test: called with each test, as a dict of
        testtools.StreamToDict, when it ends
    :param options: of subprocess.Popen
    """
    with subprocess.Popen(command, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, **options) as process:
        result = testtools.StreamToDict(on_test)
        result.startTestRun()
        subunit.ByteStreamToStreamResult(
            process.stdout, non_subunit_name=OTHER).run(result)
        result.stopTestRun()
    return process.returncode


def texts(test: Mapping[str, Any]) -> dict[str, str]:
    """Return the details of a test that are texts, by name."""
    return {name: content.as_text()
            for name, content in sorted(test['details'].items())
            if content.content_type.type == 'text'}
