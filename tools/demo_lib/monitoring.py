# SPDX-License-Identifier: Apache-2.0
"""Prometheus, which watches the back end during the demo.

Runs as root in the test machine. Both programs are user cinder's.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
from typing import Any
import urllib.error
import urllib.parse
import urllib.request

from cloud_lib import deployment
from cloud_lib import errors
from cloud_lib import programs
from cloud_lib import waiting
from demo_lib import kept
from demo_lib import settings

_METRICS_ADDRESS = '127.0.0.1:9838'
_PROMETHEUS_ADDRESS = '127.0.0.1:9090'
_FOLDER = f'{deployment.STATE}/prometheus'
_CONFIG_FILE = f'{_FOLDER}/prometheus.yml'
_CONFIG = f"""\
global:
  scrape_interval: 15s
  scrape_timeout: 15s
  evaluation_interval: 15s
rule_files:
  - {programs.TREE}/etc/prometheus/cinder-lvm.rules.yml
scrape_configs:
  - job_name: cinder-lvm
    static_configs:
      - targets: [{_METRICS_ADDRESS}]
"""
# The tree is on the path of the virtual environment, but is not installed.
_CINDER_LVM = ('import sys; from cinder_lvm_driver.cmd import main; '
               'sys.exit(main.main())')
_SCRAPE_SECONDS = 180.0
_STOP_SECONDS = 30.0
_DELETED = ('cinder_lvm_operation_duration_seconds_count'
            '{operation="delete_volume",outcome="success"}')
_OPERATIONS = ('sum by (outcome) '
               '(cinder_lvm_operation_duration_seconds_count)')
_ALERTS = 'ALERTS{alertstate="firing"}'
_DASHBOARD = f'{programs.TREE}/etc/grafana/cinder-lvm.json'
# What Grafana puts in place of its variables.
_VARIABLES = {'$instance': '.*', '$backend': '.*', '$__rate_interval': '1m'}
_METRIC = re.compile(r'cinder_lvm_\w+?(?=(?:_bucket|_count)?\b)')


class Monitoring:
    """The exporter and Prometheus."""

    def __init__(self, wanted: settings.Settings) -> None:
        """Start nothing yet."""
        self._wanted = wanted
        self._processes: list[subprocess.Popen[bytes]] = []

    def _cinder_lvm(self, *arguments: str) -> list[str]:
        return [self._wanted.python, '-c', _CINDER_LVM, '--config-file',
                deployment.CONFIG_FILE, *arguments]

    def start(self) -> str:
        """Start both; they get ready while the demo goes on."""
        os.mkdir(_FOLDER, 0o750)
        with open(_CONFIG_FILE, 'w') as file:
            file.write(_CONFIG)
        shutil.chown(_FOLDER, 'cinder', 'cinder')
        with open(f'{self._wanted.results}/{kept.MONITORING_LOG}',
                  'wb') as log:
            for command in (
                    self._cinder_lvm('metrics', '--listen', _METRICS_ADDRESS),
                    ['prometheus', f'--config.file={_CONFIG_FILE}',
                     f'--storage.tsdb.path={_FOLDER}/data',
                     f'--web.listen-address={_PROMETHEUS_ADDRESS}']):
                self._processes.append(deployment.start(
                    command, self._wanted.venv, log))
        return f'Prometheus asks cinder-lvm metrics on {_METRICS_ADDRESS}'

    def status(self) -> str:
        """Keep the screen of ``cinder-lvm status`` for the report."""
        done = subprocess.run(
            self._cinder_lvm('status'), cwd='/', text=True,
            env=programs.environment(self._wanted.venv),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with open(f'{self._wanted.results}/{kept.STATUS}', 'w') as file:
            file.write(done.stdout)
        if done.returncode:
            raise errors.CloudError(
                f'cinder-lvm status exited with status {done.returncode}: '
                f'{done.stdout}{done.stderr}')
        return 'cinder-lvm says that the back end is up'

    def require_metrics(self) -> str:
        """Prometheus has seen what the user did, and no alert fires."""
        waiting.until('Prometheus to see that volumes were deleted',
                      lambda: _ask(_DELETED), _SCRAPE_SECONDS, interval=2.0)
        counts = {outcome: int(value) for outcome, value
                  in _ask(_OPERATIONS, 'outcome').items()}
        firing = _ask(_ALERTS, 'alertname')
        if firing:
            raise errors.CloudError(
                f'alerts are firing: {", ".join(sorted(firing))}')
        return (f'Prometheus counts {sum(counts.values())} operations, '
                f'{counts.get("failure", 0)} failed; no alert fires')

    def require_dashboard(self) -> str:
        """Prometheus answers the queries of the dashboard."""
        with open(_DASHBOARD) as file:
            panels = json.load(file)['panels']
        queries = [target['expr'] for panel in panels
                   for target in panel.get('targets', ())]
        unknown = ({name for query in queries
                    for name in _METRIC.findall(query)}
                   - _get('metadata').keys())
        if unknown:
            raise errors.CloudError(
                f'the dashboard names unknown metrics: {sorted(unknown)}')
        with_data = 0
        for query in queries:
            for name, value in _VARIABLES.items():
                query = query.replace(name, value)
            with_data += bool(_get('query', query=query)['result'])
        return (f'Prometheus answers {len(queries)} queries, {with_data} with '
                f'data')

    def stop(self) -> str:
        """Stop both, and keep what Prometheus has stored."""
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise errors.CloudError(
                    f'{process.args!r} did not stop within '
                    f'{_STOP_SECONDS:.0f} s') from None
        if not self._processes:
            return 'was not started'
        shutil.copytree(f'{_FOLDER}/data',
                        f'{self._wanted.results}/{kept.METRICS}')
        return f'data of Prometheus in {kept.METRICS}'


def _get(what: str, **parameters: str) -> Any:
    """Return what Prometheus answers.

    :raises URLError: it does not answer, or refuses the query
    """
    url = (f'http://{_PROMETHEUS_ADDRESS}/api/v1/{what}?'
           + urllib.parse.urlencode(parameters))
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)['data']


def _ask(query: str, label: str = 'operation') -> dict[str, float]:
    """Return the values of a query by a label; none until it can be asked."""
    with contextlib.suppress(urllib.error.URLError):
        return {each['metric'][label]: float(each['value'][1])
                for each in _get('query', query=query)['result']}
    return {}
