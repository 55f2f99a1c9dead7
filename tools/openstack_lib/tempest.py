# SPDX-License-Identifier: Apache-2.0
"""Configures and runs tempest, and reads the record of earlier runs."""

from collections.abc import Callable
import contextlib
import glob
import json
import os
import signal
import subprocess
from typing import Any, BinaryIO

from cloud_lib import errors
from cloud_lib import logs
from cloud_lib import programs
from openstack_lib import access
from openstack_lib import configuration
from openstack_lib import passwords
from openstack_lib import results
from openstack_lib import settings

ALL = r'^(tempest\.api\.volume|cinder_tempest_plugin\.(api|scenario))'
# One class or test of each feature, with few backups: on an emulated processor
# a backup takes minutes.
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
# It creates backups even if there is no service for them.
_NEEDS_BACKUP = r'test_create_backups_and_restores'
RECORDS = os.path.join(programs.TREE, 'doc', 'source', 'contributor',
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

    :param image: the ID of an existing image
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
        # Six classes need no network but skip without one. The catalog has a
        # network service that answers 404.
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
            # LVM cannot extend the origin of a COW snapshot.
            'extend_volume_with_snapshot': thin,
            # Only this driver has them, and only on thin pools.
            'consistency_group': thin and not wanted.is_in_tree,
            'enable_volume_image_dep_tests': True,
            'concurrency_tests': True},
    })


def record() -> list[results.Result]:
    """Return the recorded results of upstream's driver."""
    found = []
    for path in sorted(glob.glob(f'{RECORDS}/upstream-*.txt')):
        with open(path) as file:
            found += results.read(file)
    return found


class Tempest:
    """Runs tests.

    :param venv: the virtual environment of tempest
    """

    def __init__(self, wanted: settings.Settings, places: settings.Places,
                 venv: str) -> None:
        self._wanted = wanted
        self._places = places
        self._venv = venv

    def configure(self, image: str) -> None:
        """Write the configuration of tempest and stestr."""
        folder = self._places.tempest
        os.makedirs(f'{folder}/lock', mode=0o700, exist_ok=True)
        settings.write_private(f'{folder}/tempest.conf', config(
            self._wanted, self._places,
            passwords.ensure(self._places.passwords), image))
        # "tempest init" refuses a folder that is not empty.
        settings.write_private(f'{folder}/.stestr.conf',
                               _STESTR.format(
                                   site=programs.site_packages(self._venv)))

    def command(self, regex: str, exclude: str,
                concurrency: int) -> list[str]:
        """Return the command that runs tests and writes subunit.

        :param concurrency: the number of workers
        """
        excluded = [exclude] if exclude else []
        if not self._wanted.backup:
            excluded.append(_NEEDS_BACKUP)
        command = [f'{self._venv}/bin/tempest', 'run', '--subunit',
                   '--config-file', f'{self._places.tempest}/tempest.conf',
                   '--concurrency', str(concurrency), '--regex', regex]
        if excluded:
            command += ['--exclude-regex', '|'.join(excluded)]
        return command

    def run(self, command: list[str],
            tell: Callable[[results.Result], object]
            ) -> list[results.Result]:
        """Run tests and return the results.

        :param tell: called with each result when the test ends
        :raises errors.CloudError: no test or not all tests ran
        """
        found: list[results.Result] = []

        def take(result: results.Result) -> None:
            found.append(result)
            tell(result)

        status = self._follow(command, take)
        if not found:
            raise self._failure('no test ran')
        # Status 1 means that tests failed.
        failed = any(one.status == results.FAIL for one in found)
        if status not in (0, int(failed)):
            raise self._failure(
                f'not all tests ran: tempest exited with status {status} '
                f'after {results.totals(found)}')
        return found

    def _failure(self, reason: str) -> errors.CloudError:
        return errors.CloudError(
            f'{reason}\n{logs.excerpt(f"{self._places.log}/{LOG}.out")}')

    def _follow(self, command: list[str],
                take: Callable[[results.Result], None]) -> int:
        """Run tempest, hand each result over, return the exit status."""
        folder = self._places.log
        environment = {
            **access.without_credentials(os.environ),
            **programs.environment(self._venv),
            'OS_TEST_TIMEOUT': str(TEST_SECONDS)}
        with logs.begin(f'{folder}/{LOG}.out') as output, \
                logs.begin(f'{folder}/{FAILURES}') as failures, \
                subprocess.Popen(
                    [f'{self._venv}/bin/python', '-m',
                     'openstack_lib.follow', *command],
                    cwd=self._places.tempest, env=environment,
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                    stderr=output, start_new_session=True) as process:
            try:
                for line in process.stdout or ():
                    self._take(json.loads(line), failures, take)
            except BaseException:
                # Ctrl-C does not reach the workers in their session.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
                raise
        return process.returncode

    @staticmethod
    def _take(report: dict[str, Any], failures: BinaryIO,
              take: Callable[[results.Result], None]) -> None:
        details = report.pop('details')
        if details:
            text = '\n'.join(f'--- {name}\n{value}'
                             for name, value in details.items())
            failures.write(f'=== {report["name"]}\n{text}\n'.encode())
        take(results.Result(**report))
