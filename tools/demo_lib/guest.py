# SPDX-License-Identifier: Apache-2.0
"""The demo in the test machine; runs as root.

``python -m demo_lib.guest SETTINGS_FILE``, with an interpreter that has
os-brick. Exits with status 0 if all steps passed.
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
from cloud_lib import deployment
from cloud_lib import errors
from cloud_lib import logs
from cloud_lib import programs
from cloud_lib import rest
from cloud_lib import scenario
from cloud_lib import steps
from cloud_lib import storage
from cloud_lib import waiting
from demo_lib import images
from demo_lib import kept
from demo_lib import leftovers
from demo_lib import monitoring
from demo_lib import settings

# The file of the VG is on a disk if the machine has one, otherwise in memory,
# where it is sparse too and frees discarded blocks.
DISK = '/dev/vda'
DISK_FOLDER = '/srv/demo'
MEMORY_FOLDER = '/run'
VG_BYTES = 16 << 30
START_SECONDS = 900.0
POOL_SECONDS = 60.0
STOP_SECONDS = 60.0


class Cloud:
    """The process of Cinder."""

    def __init__(self, wanted: settings.Settings) -> None:
        self._wanted = wanted
        self._process: subprocess.Popen[bytes] | None = None
        self._reported = False

    def launch(self) -> None:
        """Start the process; Cinder is ready some time later."""
        deployment.write_config(self._wanted.cinder_conf())
        shutil.copyfile(self._wanted.empty_database, settings.DATABASE)
        shutil.chown(settings.DATABASE, 'cinder', 'cinder')
        with open(f'{self._wanted.results}/{kept.LOG}', 'wb') as log:
            self._process = deployment.start(
                [self._wanted.python, '-m', 'demo_lib.cloud',
                 deployment.CONFIG_FILE], self._wanted.venv, log)

    def require_alive(self) -> None:
        """Raise an error if the process has ended."""
        if self._process is None:
            raise errors.CloudError('Cinder was not started')
        status = self._process.poll()
        if status is not None:
            self._reported = True
            raise errors.CloudError(
                f'Cinder exited with status {status}; see its log')

    def stop(self) -> str:
        """Stop Cinder; its helper processes must end too."""
        if self._process is None:
            return 'was not started'
        if self._reported:
            return 'had ended before'
        self.require_alive()
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise errors.CloudError(
                f'Cinder did not stop within {STOP_SECONDS:.0f} s') from None
        if status:
            raise errors.CloudError(f'Cinder exited with status {status}')
        waiting.until('the helper processes of Cinder to end',
                      lambda: not helpers(self._wanted.venv), STOP_SECONDS)
        return 'stopped, no helper process remains'


def helpers(venv: str) -> list[str]:
    """Return the command lines of other processes of a virtual environment."""
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


class Demo:
    """One run of the demo in the test machine."""

    def __init__(self, wanted: settings.Settings) -> None:
        self._wanted = wanted
        self._cloud = Cloud(wanted)
        self._monitoring = monitoring.Monitoring(wanted)
        self._cinder = rest.Cinder(
            rest.Api(settings.API_PORT, settings.TOKEN),
            rest.Api(settings.IMAGE_PORT, settings.TOKEN))
        self._scenario: scenario.Scenario | None = None

    def deploy(self) -> str:
        """Make the machine a storage node."""
        deployment.deploy(self._wanted.venv)
        return 'user cinder, sudoers, rootwrap, iscsid'

    def launch(self) -> str:
        """Start Cinder; create the VG and the image service meanwhile."""
        self._cloud.launch()
        folder = MEMORY_FOLDER
        if os.path.exists(DISK):
            storage.mount_disk(DISK, DISK_FOLDER)
            folder = DISK_FOLDER
        device = storage.create_vg(
            settings.VOLUME_GROUP, f'{folder}/{settings.VOLUME_GROUP}.img',
            VG_BYTES)
        images.Service(settings.IMAGE_PORT,
                       f'{deployment.STATE}/demo-images').start()
        return f'VG {settings.VOLUME_GROUP} on {device}'

    def start(self) -> str:
        """Import os-brick, then wait for Cinder."""
        host = compute.Host()

        def started() -> bool:
            self._cloud.require_alive()
            return os.path.exists(settings.READY_FILE)

        # Requests to the API would slow its start down.
        waiting.until('Cinder to start', started, START_SECONDS)
        pools = waiting.until('the scheduler to report a pool',
                              self._cinder.pools, POOL_SECONDS, interval=1.0)
        self._scenario = scenario.Scenario(
            self._cinder, host, settings.VOLUME_GROUP, self._wanted.thin)
        return ('API, scheduler and volume service up, pool '
                + ', '.join(found['name'] for found in pools))

    def clean(self) -> str:
        """Remove what a failed step left behind."""
        if self._scenario is None:
            return 'nothing was created'
        return self._scenario.clean()

    def require_nothing_left(self) -> str:
        """Check that nothing remains anywhere."""
        found = leftovers.leftovers(settings.VOLUME_GROUP)
        if found:
            raise errors.CloudError('left behind: ' + '; '.join(
                f'{place}: {", ".join(names)}'
                for place, names in found.items()))
        return 'no LV, target, backstore, session, file, database row, quota'

    def require_clean_log(self) -> str:
        """Check that Cinder logged no error."""
        found = logs.complaints(f'{self._wanted.results}/{kept.LOG}')
        if found:
            raise errors.CloudError(
                f'{len(found)} errors in the log, the first: '
                f'{found[0][:200]}')
        return 'no error in Cinder\'s log'

    def wait_until_stopped(self) -> str:
        """Leave the cloud running until ``tools/demo --stop``."""
        print(kept.instructions(self._wanted.venv, self._wanted.api_port,
                                settings.TOKEN, settings.PROJECT), flush=True)
        start = time.monotonic()
        kept.wait_for_stop(settings.STOP_PORT, self._cloud.require_alive)
        return f'ran for {time.monotonic() - start:.0f} s'

    def run(self, runner: steps.Runner) -> None:
        """Run all steps; clean up and stop even after a failure."""
        step = steps.Step
        runner.run([step('deploy', self.deploy),
                    step('storage', self.launch),
                    step('start cloud', self.start)])
        if self._scenario is not None:
            runner.run([step('monitoring', self._monitoring.start)])
            runner.run(self._steps(self._scenario))
            runner.run([
                step('metrics', self._monitoring.require_metrics),
                step('dashboard', self._monitoring.require_dashboard)])
        if runner.failed:
            runner.run([step('clean up', self.clean)], always=True)
        runner.run([step('nothing left', self.require_nothing_left),
                    step('log', self.require_clean_log)])
        if self._wanted.keep:
            runner.run([step('kept cloud', self.wait_until_stopped)])
        runner.run([step('stop monitoring', self._monitoring.stop),
                    step('stop cloud', self._cloud.stop)], always=True)

    def _steps(self, user: scenario.Scenario) -> list[steps.Step]:
        """Return the user's steps; the status is shown when most is in use."""
        found = user.steps()
        at = [each.name for each in found].index(scenario.DETACH)
        found.insert(at, steps.Step('status', self._monitoring.status))
        return found


def main(argv: Sequence[str]) -> int:
    """Run the demo; return the exit status."""
    wanted = settings.Settings.read(argv[1])
    logging.basicConfig(
        filename=f'{wanted.results}/{kept.COMPUTE_LOG}',
        level=logging.DEBUG if wanted.debug else logging.INFO,
        format='%(asctime)s %(levelname)s %(name)s %(message)s')
    with open(f'{wanted.results}/{kept.JOURNAL}', 'a') as journal:
        runner = steps.Runner(journal, programs.speaker('demo'))
        Demo(wanted).run(runner)
    return 1 if runner.failed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv))
