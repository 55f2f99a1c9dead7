# SPDX-License-Identifier: Apache-2.0
"""Check all that the back ends need, and say what to do.

Each line is the result of one check. The exit status is 0 if all are
successes, 1 with warnings, and 2 with failures.
"""

import argparse
from collections.abc import Callable, Iterator
import contextlib
import functools
import logging

from oslo_upgradecheck import upgradecheck

from cinder_lvm_driver.cmd import backends
from cinder_lvm_driver.cmd import check_backend
from cinder_lvm_driver.cmd import check_node
from cinder_lvm_driver.cmd import filters
from cinder_lvm_driver import errors

_OUR_LOG = logging.getLogger(errors.__package__)
_NODE = 'node'

# Returns what to say of a success. What is wrong but harmless, it logs as
# the service does when it starts; what is not, it raises.
Check = Callable[[], str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no arguments of its own."""


def run(arguments: argparse.Namespace) -> int:
    """Run all checks; return the worst result."""
    report = Report()
    made_for: list[backends.Section] = []

    def find_sections() -> str:
        made_for.extend(backends.sections(arguments.backend))
        return ', '.join(section.name for section in made_for)

    if not report.add(_NODE, 'configuration files',
                      check_node.check_readable):
        return int(report.worst)
    report.add(_NODE, 'enabled_backends', find_sections)
    report.add(_NODE, 'rootwrap filters', filters.check)
    has_lvm = report.add(_NODE, 'LVM', check_node.check_lvm)
    is_root = report.add(_NODE, 'root access', check_node.check_root)
    if is_root:
        is_root = report.add(_NODE, 'privileged daemon',
                             check_node.check_privileged_daemon)
    report.add(_NODE, 'udev', check_node.check_udev)
    for section in made_for:
        check_backend.Checks(section).run(
            functools.partial(report.add, section.name),
            is_usable=is_root and has_lvm)
    return int(report.worst)


class Report:
    """Prints the result of each check, and remembers the worst one."""

    def __init__(self) -> None:
        self.worst = upgradecheck.Code.SUCCESS

    def add(self, subject: str, name: str, check: Check) -> bool:
        """Run a check; return whether it did not fail.

        :param subject: the back end, or the node
        """
        said = ''
        with _collected() as warnings:
            try:
                said = check()
                code = upgradecheck.Code.SUCCESS
            except backends.FAILURES as exc:
                said = str(exc)
                code = upgradecheck.Code.FAILURE
        for warning in warnings:
            self._print(upgradecheck.Code.WARNING, subject, name, warning)
        if said or not warnings:
            self._print(code, subject, name, said)
        return code is not upgradecheck.Code.FAILURE

    def _print(self, code: upgradecheck.Code, subject: str, name: str,
               text: str) -> None:
        self.worst = max(self.worst, code)
        label = upgradecheck.UPGRADE_CHECK_MSG_MAP[code]
        line = ' '.join(f'{label:8}{subject}: {name}: {text}'.split('\n'))
        print(line.removesuffix(': '), flush=True)


class _Collector(logging.Handler):
    """Keeps warnings, each once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: dict[str, None] = {}

    def emit(self, record: logging.LogRecord) -> None:
        self.texts[record.getMessage()] = None


@contextlib.contextmanager
def _collected() -> Iterator[dict[str, None]]:
    """Give what the driver logs at WARNING or above meanwhile."""
    collector = _Collector()
    _OUR_LOG.addHandler(collector)
    try:
        yield collector.texts
    finally:
        _OUR_LOG.removeHandler(collector)
