# SPDX-License-Identifier: Apache-2.0
"""Runs tempest and reports each test when it ends.

``python -m openstack_lib.follow COMMAND...``, with the interpreter of tempest,
which can decode its output (subunit). Prints a line of JSON for each test:
name, status, seconds, reason, and the details of a failure.
"""

from collections.abc import Mapping, Sequence
import json
import sys
from typing import Any

from openstack_lib import results
from test_lib import stream

# The statuses of testtools. None is a test that was only listed; all other
# statuses, such as inprogress of a process that died, are failures.
_STATUS = {'success': results.OK, 'xfail': results.OK,
           'skip': results.SKIP, 'exists': None}


def outcome(test: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the report of a test, None if it did not run.

    :param test: from testtools.StreamToDict
    """
    status = _STATUS.get(test['status'], results.FAIL)
    if status is None:
        return None
    first, last = (*test['timestamps'], None, None)[:2]
    seconds = (last - first).total_seconds() if first and last else 0.0
    details = stream.texts(test)
    reason = details.get('reason', '')
    if status == results.FAIL:
        reason = details.get('traceback', '') or (
            'its process died' if test['status'] == 'inprogress'
            else test['status'])
    return {'name': results.clean_name(test['id']), 'status': status,
            'seconds': seconds, 'reason': results.clean_reason(reason),
            'details': details if status == results.FAIL else {}}


def _report(test: Mapping[str, Any]) -> None:
    report = outcome(test)
    if report is not None and test['id'] != stream.OTHER:
        print(json.dumps(report), flush=True)


def main(argv: Sequence[str]) -> int:
    """Run a command that writes subunit; return its exit status."""
    return stream.run(argv[1:], _report)


if __name__ == '__main__':
    sys.exit(main(sys.argv))
