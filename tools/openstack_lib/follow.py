# SPDX-License-Identifier: Apache-2.0
"""Runs tempest and tells of each test as it ends.

Run as ``python -m openstack_lib.follow COMMAND...`` with tempest's own
interpreter, which knows the stream that tempest writes (subunit). Each test
becomes a line of JSON on standard output: name, status, seconds, reason and
all that it said.
"""

from collections.abc import Mapping, Sequence
import json
import subprocess
import sys
from typing import Any

from openstack_lib import results

_STATUS = {'success': results.OK, 'xfail': results.OK,
           'skip': results.SKIP, 'exists': None}


def outcome(test: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what is told of a test, None if nothing is.

    :param test: as testtools.StreamToDict hands it on
    """
    # What is no word of success is a failure: fail, uxsuccess, unknown, and
    # inprogress, which is a test whose process died.
    status = _STATUS.get(test['status'], results.FAIL)
    if status is None:
        return None
    first, last = (*test['timestamps'], None, None)[:2]
    seconds = (last - first).total_seconds() if first and last else 0.0
    details = {name: content.as_text()
               for name, content in sorted(test['details'].items())
               if content.content_type.type == 'text'}
    reason = details.get('reason', '')
    if status == results.FAIL:
        reason = details.get('traceback', '') or (
            'its process died' if test['status'] == 'inprogress'
            else test['status'])
    return {'name': results.clean_name(test['id']), 'status': status,
            'seconds': seconds, 'reason': results.clean_reason(reason),
            'details': details if status == results.FAIL else {}}


def main(argv: Sequence[str]) -> int:
    """Run a command that writes subunit; return its status."""
    import subunit
    import testtools

    def tell(test: Mapping[str, Any]) -> None:
        told = outcome(test)
        if told is not None and test['id'] != 'stdout':
            print(json.dumps(told), flush=True)

    with subprocess.Popen(argv[1:], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE) as process:
        stream = testtools.StreamToDict(tell)
        stream.startTestRun()
        subunit.ByteStreamToStreamResult(
            process.stdout, non_subunit_name='stdout').run(stream)
        stream.stopTestRun()
    return process.returncode


if __name__ == '__main__':
    sys.exit(main(sys.argv))
