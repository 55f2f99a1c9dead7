# SPDX-License-Identifier: Apache-2.0
"""The steps of the installation page, run as they are written.

Runs as root in the test machine. Only Cinder is there beforehand, and the
line of ``cinder.conf``.
"""

from collections.abc import Iterator
import os
import pathlib
import re
import subprocess
import textwrap

from cloud_lib import deployment
from cloud_lib import errors
from cloud_lib import programs

PAGE = f'{programs.TREE}/doc/source/install/index.rst'
_PREFIX = '/opt/quick-start'
_FILTERS = '/etc/cinder/rootwrap.d/lvm-driver.filters'
_SETTING = re.compile(r'\w+ = \S+')
# The page of this version names them; pbr and setuptools are installed.
_ENVIRONMENT = {'PBR_VERSION': '1.0.0', 'PIP_NO_BUILD_ISOLATION': '0'}


def blocks(page: str) -> Iterator[str]:
    """Yield the literal blocks of the section "Steps"."""
    steps = re.split(r'\n.+\n=+\n', page.partition('\nSteps\n=====\n')[2])[0]
    for block in re.findall(r'::\n\n((?: +\S.*\n)+)', steps):
        yield textwrap.dedent(block)


def run(venv: str) -> str:
    """Follow the page in a new Python environment that has Cinder.

    :param venv: an environment with Cinder
    """
    found = list(blocks(pathlib.Path(PAGE).read_text()))
    settings = [each.strip() for each in found if _SETTING.match(each)]
    configured = pathlib.Path(deployment.CONFIG_FILE).read_text()
    for setting in settings:
        if setting not in configured:
            raise errors.CloudError(f'cinder.conf does not have: {setting}')
    _make_environment(venv)
    os.unlink(_FILTERS)
    commands = [each.replace('PATH_OF_THE_TREE', programs.TREE)
                .replace('PREFIX', _PREFIX)
                for each in found if not _SETTING.match(each)]
    done = subprocess.run(
        ['bash', '-euo', 'pipefail', '-c', ''.join(commands)], cwd='/',
        env=programs.environment(_PREFIX, **_ENVIRONMENT), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode > 1 or 'Success node: root access' not in done.stdout:
        raise errors.CloudError(
            f'the steps of {PAGE} end with status {done.returncode}: '
            f'{done.stdout[-2000:]}')
    return (f'{len(commands)} blocks of commands; cinder-lvm check exits with '
            f'status {done.returncode}')


def _make_environment(venv: str) -> None:
    """Create an environment that has Cinder, and not this tree."""
    subprocess.run([f'{venv}/bin/python', '-m', 'venv', _PREFIX], check=True)
    packages = pathlib.Path(programs.site_packages(_PREFIX))
    with_cinder = programs.site_packages(venv)
    # First, because the setuptools of Python 3.11 is too old.
    (packages / 'cinder.pth').write_text(
        f'import sys; sys.path.insert(0, {with_cinder!r})\n')
