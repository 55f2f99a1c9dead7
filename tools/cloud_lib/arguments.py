# SPDX-License-Identifier: Apache-2.0
"""What the command lines take that make a cloud around the driver."""

import argparse
import re

DEFAULT_DRIVER = 'cinder_lvm_driver.driver.LVMVolumeDriver'
_CLASS = re.compile(r'[A-Za-z_]\w*(\.[A-Za-z_]\w*)+')
_OPTION = re.compile(r'[a-z][a-z0-9_]* *=.*')


def matching(pattern: re.Pattern[str], text: str, complaint: str) -> str:
    """Return an argument that is of a form.

    :param complaint: the words after the argument in the error
    """
    if not pattern.fullmatch(text):
        raise argparse.ArgumentTypeError(f'{text!r} {complaint}')
    return text


def driver(text: str) -> str:
    """Return the name of a driver's class."""
    return matching(_CLASS, text,
                    f'is no class; write for example {DEFAULT_DRIVER}')


def backend_option(text: str) -> str:
    """Return a line for a back end's section of cinder.conf."""
    return matching(_OPTION, text, 'is no setting; write NAME=VALUE, as in '
                    'cinder.conf')
