# SPDX-License-Identifier: Apache-2.0
"""Command line arguments of tools/demo and tools/openstack."""

import argparse
import re

DEFAULT_DRIVER = 'cinder_lvm_driver.driver.LVMVolumeDriver'
_CLASS = re.compile(r'[A-Za-z_]\w*(\.[A-Za-z_]\w*)+')
_OPTION = re.compile(r'[a-z][a-z0-9_]* *=.*')


def matching(pattern: re.Pattern[str], text: str, complaint: str) -> str:
    """Return an argument that matches a pattern.

    :param complaint: follows the argument in the error message
    :raises argparse.ArgumentTypeError: the argument does not match
    """
    if not pattern.fullmatch(text):
        raise argparse.ArgumentTypeError(f'{text!r} {complaint}')
    return text


def driver(text: str) -> str:
    """Return the import path of a driver class."""
    return matching(
        _CLASS, text, f'is not the path of a class such as {DEFAULT_DRIVER}')


def backend_option(text: str) -> str:
    """Return a line for the section of a back end in cinder.conf."""
    return matching(_OPTION, text, 'is not an option of the form NAME=VALUE')
