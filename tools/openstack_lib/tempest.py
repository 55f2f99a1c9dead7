# SPDX-License-Identifier: Apache-2.0
"""Tempest: its configuration, its run, and what is written down of it."""

from collections.abc import Callable, Iterator
import contextlib
import glob
import json
import os
import signal
import subprocess

from cloud_lib import errors
from cloud_lib import logs
from cloud_lib import preparing
from openstack_lib import access
from openstack_lib import configuration
from openstack_lib import passwords
from openstack_lib import results
from openstack_lib import settings

ALL = r'^(tempest\.api\.volume|cinder_tempest_plugin\.(api|scenario))'
# One class or test of each kind of work. Each backup takes minutes where all
# bytes pass an emulated processor.
SMOKE = '|'.join((
    r'\.test_volumes_get\.VolumesGetTest\b',
    r'\.test_volumes_clone\.VolumesCloneTest\b',
    r'\.test_volumes_extend\.VolumesExtendTest\b',
    r'\.test_volumes_snapshots\.VolumesSnapshotTestJSON\.'
    r'(?!test_snapshot_backup)',
    r'\.test_volumes_backup\.VolumesBackupsTest\.test_volume_backup_create',
    r'\.test_volume_transfers\.',
    r'\.admin\.test_volume_manage\.',
    r'\.admin\.test_snapshot_manage\.',
    r'\.admin\.test_backends_capabilities\.',
    r'\.admin\.test_volume_pools\.',
    r'\.admin\.test_volume_retype\.',
    r'\.test_volumes_actions\.VolumesActionsTest\.test_volume_upload',
    r'\.test_volume_revert\.VolumeRevertTests\b',
    r'\.test_create_from_image\.',
    r'\.test_volume_dependency\.VolumeDependencyTests\b'))
# It makes backups without asking whether there is a service for them.
_BLIND_TO_BACKUP = r'test_create_backups_and_restores'
RECORDS = os.path.join(preparing.TREE, 'doc', 'source', 'contributor',
                       'openstack-results')
BUILD_SECONDS = 900
TEST_SECONDS = 3600
LOG = 'tempest'
FAILURES = 'tempest-failures.log'
_PROTOCOLS = {'iscsi': 'iSCSI', 'nvmet_tcp': 'NVMe-oF'}
_STESTR = """\
[DEFAULT]
test_path={site}/tempest/test_discover
top_dir={site}
group_regex=([^\\.]*\\.)*
"""


def config(wanted: settings.Settings, places: settings.Places,
           secret: passwords.Passwords, image: str) -> str:
    """Return tempest.conf.

    :param image: the id of an image that is there
    """
    names = [backend.name for backend in wanted.back_ends()]
    thin = all(backend.lvm_type == 'thin' for backend in wanted.back_ends())
    return configuration.render({
        'DEFAULT': {'log_file': os.path.join(places.log, f'{LOG}.log')},
        'oslo_concurrency': {'lock_path': places.path('tempest', 'lock')},
        'auth': {
            'use_dynamic_credentials': True, 'tempest_roles': 'member',
            'create_isolated_networks': False, 'admin_username': 'admin',
            'admin_password': secret.admin, 'admin_project_name': 'admin',
            'admin_domain_name': 'Default'},
        'identity': {
            'uri_v3': access.auth_url(wanted.ports), 'auth_version': 'v3',
            'region': settings.REGION},
        # Six classes skip themselves without a network, which they do not
        # need; what the catalogue has for it answers 404.
        'service_available': {
            'cinder': True, 'glance': True, 'neutron': True, 'nova': False,
            'swift': False, 'barbican': False},
        'compute': {'image_ref': image, 'image_ref_alt': image},
        'image': {'build_timeout': BUILD_SECONDS},
        'image-feature-enabled': {'import_image': False},
        'validation': {'run_validation': False},
        'volume': {
            'build_timeout': BUILD_SECONDS, 'build_interval': 1,
            'catalog_type': 'block-storage',
            'storage_protocol': _PROTOCOLS[wanted.protocol],
            'vendor_name': 'Open Source', 'volume_type': names[0],
            'backend_names': ','.join(names), 'min_microversion': '3.0',
            'max_microversion': 'latest', 'disk_format': 'raw',
            'backup_driver': 'posix'},
        'volume-feature-enabled': {
            'backup': wanted.backup, 'clone': True, 'snapshot': True,
            'manage_volume': True, 'manage_snapshot': True,
            'volume_revert': True, 'multi_backend': len(names) > 1,
            # A copy-on-write snapshot is of the size of its origin.
            'extend_volume_with_snapshot': thin,
            'consistency_group': False,
            'enable_volume_image_dep_tests': True,
            'concurrency_tests': True},
    })


def record() -> list[results.Result]:
    """Return how the driver that comes with Cinder fared, run after run."""
    found = []
    for path in sorted(glob.glob(f'{RECORDS}/upstream-*.txt')):
        with open(path) as file:
            found += results.read(file)
    return found


def site(venv: str) -> str:
    """Return where an environment keeps its packages."""
    found = glob.glob(f'{venv}/lib/python3*/site-packages')
    if len(found) != 1:
        raise errors.CloudError(f'{venv} is no virtual environment')
    return found[0]


@contextlib.contextmanager
def _ended(process: 'subprocess.Popen[bytes]') -> Iterator[None]:
    """Leave no worker behind when the body is interrupted."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        raise


class Tempest:
    """Runs tests.

    :param venv: the virtual environment with tempest
    """

    def __init__(self, wanted: settings.Settings, places: settings.Places,
                 venv: str) -> None:
        self._wanted = wanted
        self._places = places
        self._venv = venv

    def configure(self, image: str) -> None:
        """Write what tempest and stestr read."""
        folder = self._places.tempest
        os.makedirs(f'{folder}/lock', mode=0o700, exist_ok=True)
        settings.write_private(f'{folder}/tempest.conf', config(
            self._wanted, self._places,
            passwords.ensure(self._places.passwords), image))
        # "tempest init" would not do it in a folder that has something.
        settings.write_private(f'{folder}/.stestr.conf',
                               _STESTR.format(site=site(self._venv)))

    def command(self, regex: str, exclude: str,
                concurrency: int) -> list[str]:
        """Return the command that runs tests and writes subunit."""
        left_out = [part for part in (
            exclude, '' if self._wanted.backup else _BLIND_TO_BACKUP) if part]
        command = [f'{self._venv}/bin/tempest', 'run', '--subunit',
                   '--config-file', f'{self._places.tempest}/tempest.conf',
                   '--concurrency', str(concurrency), '--regex', regex]
        if left_out:
            command += ['--exclude-regex', '|'.join(left_out)]
        return command

    def run(self, command: list[str],
            tell: Callable[[results.Result], object]
            ) -> list[results.Result]:
        """Run tests; all they say is in the folder of logs.

        :param tell: is called with each result at once
        :raises errors.CloudError: when nothing ran, or not all of it
        """
        found: list[results.Result] = []

        def take(result: results.Result) -> None:
            found.append(result)
            tell(result)

        status = self._follow(command, take)
        if not found:
            raise self._failure('no test ran')
        # With 1 it tells of tests that failed, and these were told of.
        failed = any(one.status == results.FAIL for one in found)
        if status not in (0, int(failed)):
            raise self._failure(
                f'tempest ended with {status} after {results.totals(found)}: '
                'not all tests ran')
        return found

    def _failure(self, what: str) -> errors.CloudError:
        path = os.path.join(self._places.log, f'{LOG}.out')
        return errors.CloudError(
            f'{what}; the end of {path}:\n' + '\n'.join(
                logs.tail(path, 15)))

    def _follow(self, command: list[str],
                take: Callable[[results.Result], object]) -> int:
        """Return tempest's exit status; each result is told of at once."""
        folder = self._places.log
        environment = {
            **access.without_credentials(os.environ),
            'PATH': f'{self._venv}/bin:/usr/sbin:/usr/bin:/sbin:/bin',
            'PYTHONPATH': preparing.TOOLS, 'PYTHONWARNINGS': 'ignore',
            'OS_TEST_TIMEOUT': str(TEST_SECONDS)}
        with logs.begin(f'{folder}/{LOG}.out') as errors_file, \
                logs.begin(f'{folder}/{FAILURES}') as failures:
            with subprocess.Popen(
                    [f'{self._venv}/bin/python', '-m',
                     'openstack_lib.follow', *command],
                    cwd=self._places.tempest, env=environment,
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                    stderr=errors_file, start_new_session=True
                    ) as process, _ended(process):
                for line in process.stdout or ():
                    told = json.loads(line)
                    details = told.pop('details')
                    if details:
                        text = '\n'.join(
                            f'--- {name}\n{value}'
                            for name, value in details.items())
                        failures.write(
                            f'=== {told["name"]}\n{text}\n'.encode())
                    take(results.Result(**told))
        return process.returncode
