# SPDX-License-Identifier: Apache-2.0
"""What happens in the test machine; run as root.

``python -m demo_lib.guest SETTINGS_FILE``, with the interpreter that has
os-brick. Ends with 0 when everything was as it should be.
"""

from collections.abc import Sequence
import logging
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time

from cloud_lib import compute
from cloud_lib import errors
from cloud_lib import logs
from cloud_lib import rest
from cloud_lib import scenario
from cloud_lib import steps
from cloud_lib import storage
from cloud_lib import waiting
from demo_lib import images
from demo_lib import kept
from demo_lib import leftovers
from demo_lib import settings

TOOLS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Where the file below the volume group is: on a disk if the machine was given
# one, else in memory, where it is sparse and gives discarded blocks back.
DISK = '/dev/vda'
SCRATCH = '/srv/demo'
MEMORY = '/run'
GROUP_SIZE = 16 << 30
START_SECONDS = 900.0
POOL_SECONDS = 60.0
STOP_SECONDS = 60.0


def say(text: str) -> None:
    """Tell the person how far it is."""
    print(f'demo: {text}', flush=True)


class Cloud:
    """The process with Cinder."""

    def __init__(self, wanted: settings.Settings) -> None:
        self._wanted = wanted
        self._process: subprocess.Popen[bytes] | None = None
        self._missed = False

    def launch(self) -> None:
        """Start the process; it is of use some time later."""
        with open(settings.CONFIG_FILE, 'w') as file:
            os.fchmod(file.fileno(), 0o640)
            file.write(self._wanted.cinder_conf())
        shutil.chown(settings.CONFIG_FILE, group='cinder')
        shutil.copyfile(self._wanted.empty_database, settings.DATABASE)
        shutil.chown(settings.DATABASE, 'cinder', 'cinder')
        path = f'{self._wanted.venv}/bin:/usr/sbin:/usr/bin:/sbin:/bin'
        with open(f'{self._wanted.results}/{kept.LOG}', 'wb') as log:
            self._process = subprocess.Popen(
                [self._wanted.python, '-m', 'demo_lib.cloud',
                 settings.CONFIG_FILE],
                user='cinder', group='cinder', extra_groups=[], cwd='/',
                env={'PATH': path, 'LC_ALL': 'C.UTF-8',
                     'HOME': settings.STATE, 'USER': 'cinder',
                     'PYTHONPATH': TOOLS, 'PYTHONWARNINGS': 'ignore'},
                stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT)

    def require_alive(self) -> None:
        """Raise an error when the process has ended."""
        if self._process is None:
            raise errors.CloudError('Cinder was not started')
        status = self._process.poll()
        if status is not None:
            self._missed = True
            raise errors.CloudError(
                f'Cinder ended by itself, with status {status}; the reason '
                'is in its log')

    def stop(self) -> str:
        """End the process, politely; look that its helpers end too."""
        if self._process is None:
            return 'was not started'
        if self._missed:
            return 'had ended before'
        self.require_alive()
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise errors.CloudError(
                f'Cinder did not end within {STOP_SECONDS:.0f} s') from None
        if status:
            raise errors.CloudError(f'Cinder ended with status {status}')
        waiting.until('the helpers of Cinder to end',
                      lambda: not helpers(self._wanted.venv), STOP_SECONDS)
        return 'ended by itself, no helper process is left'


def helpers(venv: str) -> list[str]:
    """Return the command lines that run from the venv, but for this one."""
    found = []
    for name in os.listdir('/proc'):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f'/proc/{name}/cmdline', 'rb') as file:
                words = file.read().decode().split('\0')
        except OSError:
            continue
        if any(word.startswith(f'{venv}/bin/') for word in words):
            found.append(shlex.join(words))
    return found


class Conductor:
    """One run of the demo, in the machine."""

    def __init__(self, wanted: settings.Settings) -> None:
        self._wanted = wanted
        self._cloud = Cloud(wanted)
        self._cinder = rest.Cinder(
            rest.Api(settings.API_PORT, settings.TOKEN),
            rest.Api(settings.IMAGE_PORT, settings.TOKEN))
        self._host: compute.Host | None = None
        self._scenario: scenario.Scenario | None = None

    def deploy(self) -> str:
        """Make the machine a storage node."""
        done = subprocess.run([f'{TOOLS}/deploy', self._wanted.venv])
        if done.returncode:
            raise errors.CloudError('tools/deploy failed (messages above)')
        return 'user cinder, sudoers, rootwrap, iscsid'

    def launch(self) -> str:
        """Start Cinder, and beside it what needs no Cinder."""
        self._cloud.launch()
        folder = MEMORY
        if os.path.exists(DISK):
            storage.mount_disk(DISK, SCRATCH)
            folder = SCRATCH
        device = storage.make_group(
            settings.VOLUME_GROUP, f'{folder}/{settings.VOLUME_GROUP}.img',
            GROUP_SIZE)
        images.Service(settings.IMAGE_PORT,
                       f'{settings.STATE}/demo-images').start()
        return f'volume group {settings.VOLUME_GROUP} on {device}'

    def start(self) -> str:
        """Wait for the cloud; import os-brick meanwhile."""
        self._host = compute.Host()

        def started() -> bool:
            self._cloud.require_alive()
            return os.path.exists(settings.READY_FILE)

        # A request every moment would only slow the start down.
        waiting.until('Cinder to start', started, START_SECONDS)
        pools = waiting.until('the scheduler to know a pool',
                              self._cinder.pools, POOL_SECONDS, interval=1.0)
        name = ', '.join(found['name'] for found in pools)
        self._scenario = scenario.Scenario(
            self._cinder, self._host, settings.VOLUME_GROUP,
            self._wanted.thin)
        return f'API, scheduler and volume service up, pool {name}'

    def clean(self) -> str:
        """Put away what a failed step left."""
        if self._scenario is None:
            return 'nothing was made'
        return self._scenario.clean()

    def look(self) -> str:
        """Look that nothing is left anywhere."""
        found = leftovers.leftovers(settings.VOLUME_GROUP)
        if found:
            raise errors.CloudError('left behind: ' + '; '.join(
                f'{place}: {", ".join(names)}'
                for place, names in found.items()))
        return 'no LV, target, backstore, session, file, database row, quota'

    def read_log(self) -> str:
        """Look that Cinder did not complain while all went well."""
        found = logs.complaints(f'{self._wanted.results}/{kept.LOG}')
        if found:
            raise errors.CloudError(
                f'{len(found)} errors in the log, the first: '
                f'{found[0][:200]}')
        return 'no error in Cinder\'s log'

    def wait_until_stopped(self) -> str:
        """Leave the cloud running until somebody asks for its end."""
        print(kept.instructions(self._wanted.venv, self._wanted.api_port,
                                settings.TOKEN, settings.PROJECT), flush=True)
        start = time.monotonic()
        kept.wait_for_stop(settings.STOP_PORT, self._cloud.require_alive)
        return f'was there for {time.monotonic() - start:.0f} s'

    def conduct(self, runner: steps.Runner) -> None:
        """Run all steps, and the clean-up in any case."""
        step = steps.Step
        runner.run([step('deploy', self.deploy),
                    step('storage', self.launch),
                    step('start cloud', self.start)])
        if self._scenario is not None:
            runner.run(self._scenario.steps())
        if runner.failed:
            runner.run([step('clean up', self.clean)], always=True)
        runner.run([step('nothing left', self.look),
                    step('log', self.read_log)])
        if self._wanted.keep:
            runner.run([step('kept cloud', self.wait_until_stopped)])
        runner.run([step('stop cloud', self._cloud.stop)], always=True)


def main(argv: Sequence[str]) -> int:
    """Conduct a run; return its exit status."""
    with open(argv[1]) as file:
        wanted = settings.Settings.from_json(file.read())
    logging.basicConfig(
        filename=f'{wanted.results}/{kept.COMPUTE_LOG}',
        level=logging.DEBUG if wanted.debug else logging.INFO,
        format='%(asctime)s %(levelname)s %(name)s %(message)s')
    with open(f'{wanted.results}/{kept.JOURNAL}', 'a') as journal:
        runner = steps.Runner(journal, say)
        Conductor(wanted).conduct(runner)
    return 1 if runner.failed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv))
