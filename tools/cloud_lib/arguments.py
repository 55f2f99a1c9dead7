# SPDX-License-Identifier: Apache-2.0
"""What the command lines take that make a cloud around the driver."""

import argparse
import re

DEFAULT_DRIVER = 'cinder_lvm_driver.driver.LVMVolumeDriver'
_CLASS = re.compile(r'[A-Za-z_]\w*(\.[A-Za-z_]\w*)+')
_OPTION = re.compile(r'[a-z][a-z0-9_]* *=.*')


def driver(text: str) -> str:
    """Return the name of a driver's class."""
    if not _CLASS.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f'{text!r} is no class; write for example {DEFAULT_DRIVER}')
    return text


def backend_option(text: str) -> str:
    """Return a line for a back end's section of cinder.conf."""
    if not _OPTION.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f'{text!r} is no setting; write NAME=VALUE, as in cinder.conf')
    return text
