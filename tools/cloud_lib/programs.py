# SPDX-License-Identifier: Apache-2.0
"""The other programs in tools/, and the environment that ours run in."""

from collections.abc import Callable
import glob
import os
import signal
import subprocess
import sys

from cloud_lib import errors

TOOLS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TREE = os.path.dirname(TOOLS)
SYSTEM_PATH = '/usr/sbin:/usr/bin:/sbin:/bin'
# All Python programs, in both machines.
_PYTHON = {'PYTHONPATH': TOOLS, 'PYTHONWARNINGS': 'ignore',
           'LC_ALL': 'C.UTF-8'}


def setup(*arguments: str) -> str:
    """Run ``tools/setup`` and return its output."""
    done = subprocess.run([f'{TOOLS}/setup', *arguments], text=True,
                          stdout=subprocess.PIPE)
    if done.returncode:
        raise errors.CloudError(
            f'tools/setup {" ".join(arguments)} exited with status '
            f'{done.returncode}; see its messages above')
    return done.stdout.strip()


def testvm(venv: str, module: str, argument: str, *options: str, memory: int,
           timeout: int, share: str, kernel: str | None) -> list[str]:
    """Return the command that runs a module in the test machine.

    :param venv: the virtual environment with the interpreter
    :param options: further options of ``tools/testvm``
    :param memory: in MiB
    :param timeout: in seconds
    :param share: the folder that the test machine may write to
    :param kernel: the series, None or empty for the default
    """
    command = [f'{TOOLS}/testvm', '--memory', str(memory),
               '--timeout', str(timeout), '--share', share, *options]
    for name, value in _PYTHON.items():
        command += ['--env', f'{name}={value}']
    if kernel:
        command += ['--kernel', kernel]
    return [*command, '--', f'{venv}/bin/python', '-m', module, argument]


def environment(venv: str, **more: str) -> dict[str, str]:
    """Return the variables of a program in a virtual environment."""
    return {'PATH': f'{venv}/bin:{SYSTEM_PATH}', **_PYTHON, **more}


def site_packages(venv: str) -> str:
    """Return the folder of the packages of a virtual environment.

    :raises errors.CloudError: the folder is no virtual environment
    """
    found = glob.glob(f'{venv}/lib/python3*/site-packages')
    if len(found) != 1:
        raise errors.CloudError(f'{venv} is not a virtual environment')
    return found[0]


def speaker(name: str) -> Callable[[str], None]:
    """Return a function that prints a line of progress at once."""
    return lambda text: print(f'{name}: {text}', flush=True)


def run(name: str, work: Callable[[], int]) -> int:
    """Run a program's work as root; return the exit status.

    SIGTERM ends it as Ctrl-C does, so that it can stop the test machine.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if os.geteuid():
            raise errors.CloudError(f'not root; run tools/{name} as root')
        return work()
    except errors.CloudError as error:
        reason, status = str(error), 1
    except KeyboardInterrupt:
        reason, status = 'interrupted', 130
    print(f'{name}: {reason}', file=sys.stderr)
    return status
