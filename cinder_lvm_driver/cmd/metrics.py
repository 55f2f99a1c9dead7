# SPDX-License-Identifier: Apache-2.0
"""Report the back ends to Prometheus.

Without an option, the metrics are printed once.
"""

import argparse
import collections
from collections.abc import Iterator
import decimal
import itertools
import threading

from oslo_config import cfg
from oslo_upgradecheck import upgradecheck
import prometheus_client
from prometheus_client import core

from cinder_lvm_driver.cmd import backends
from cinder_lvm_driver.cmd import survey
from cinder_lvm_driver import lvm
from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver import timings

_INFINITY = '+Inf'

Gauge = core.GaugeMetricFamily
# A metric's values, each with those of its labels.
Samples = list[tuple[list[str], float]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where the metrics go."""
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        '--listen', type=_portal, metavar='ADDR:PORT',
        help='answer Prometheus on this address until it is stopped')
    place.add_argument(
        '--textfile', metavar='FILE',
        help="replace this file, for the textfile collector of Prometheus' "
             "node_exporter")


def _portal(text: str) -> listening.Portal:
    try:
        return listening.Portal.parse(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(
            f'{exc}: give an address and a port, such as 127.0.0.1:9838'
        ) from exc


def run(arguments: argparse.Namespace) -> int:
    """Report the metrics; return the exit status."""
    registry = core.CollectorRegistry()
    try:
        registry.register(Collector(backends.sections(arguments.backend)))
        if arguments.listen:
            prometheus_client.start_http_server(
                arguments.listen.port, arguments.listen.address, registry)
            threading.Event().wait()
        elif arguments.textfile:
            prometheus_client.write_to_textfile(arguments.textfile, registry)
        else:
            print(prometheus_client.generate_latest(registry).decode(),
                  end='')
    except (backends.NoBackend, OSError) as exc:
        print(exc)
        return int(upgradecheck.Code.FAILURE)
    return int(upgradecheck.Code.SUCCESS)


class Collector:
    """Looks at the back ends each time that Prometheus asks."""

    def __init__(self, sections: list[backends.Section]) -> None:
        """Run no command yet."""
        self._surveyors = [survey.Surveyor(section) for section in sections]
        # A look is several commands, and Prometheus can ask twice at once.
        self._lock = threading.Lock()

    def describe(self) -> list[core.Metric]:
        """Return nothing, so that the registry does not collect at once."""
        return []

    def collect(self) -> Iterator[core.Metric]:
        """Yield the metrics of all back ends."""
        with self._lock:
            surveys = [surveyor.look() for surveyor in self._surveyors]
        samples: dict[str, Samples] = collections.defaultdict(list)
        for seen in surveys:
            for name, own, value in _samples(seen):
                samples[name].append(([seen.section.name, *own], value))
        for name, (text, own_labels) in _GAUGES.items():
            gauge = Gauge(f'cinder_lvm_{name}', text,
                          labels=['backend', *own_labels])
            for values, value in samples[name]:
                gauge.add_metric(values, value)
            yield gauge
        yield _operations(surveys)


_OF_POOL = ('pool',)
_OF_VG = ('vg',)
_OF_LV = ('vg', 'lv')
# Name without prefix, what it means, and its labels beside the back end.
_GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    'up': ('1 if the pool can create and attach volumes', _OF_POOL),
    'capacity_bytes': ('Size of the pool for the scheduler', _OF_POOL),
    'capacity_free_bytes': ('Free space of the pool for the scheduler',
                            _OF_POOL),
    'provisioned_bytes': ('Provisioned space of the pool for the scheduler',
                          _OF_POOL),
    'vg_size_bytes': ('Size of the VG', _OF_VG),
    'vg_free_bytes': ('Space of the VG that no LV has', _OF_VG),
    'vg_metadata_used_ratio': ('Used share of the metadata area of the VG',
                               _OF_VG),
    'pvs': ('Number of PVs', ('vg', 'state')),
    'thin_pool_size_bytes': ('Size of the data of the thin pool', _OF_LV),
    'thin_pool_data_used_ratio': ('Used share of the data', _OF_LV),
    'thin_pool_metadata_size_bytes': ('Size of the metadata of the thin pool',
                                      _OF_LV),
    'thin_pool_metadata_used_ratio': ('Used share of the metadata', _OF_LV),
    'lvs': ('Number of LVs', ('vg', 'kind', 'segtype')),
    'lvs_size_bytes': ('Sum of the sizes of LVs', ('vg', 'kind', 'segtype')),
    'lvs_unhealthy': ('Number of LVs that LVM reports as unhealthy', _OF_VG),
    'cow_snapshot_used_ratio': ('Used share of a COW snapshot that can '
                                'overflow', _OF_LV),
    'synchronized_ratio': ('Share of an LV whose copies are equal', _OF_LV),
    'wipe_backlog_bytes': ('Size of the deleted LVs that are not wiped yet',
                           _OF_VG),
    'pending': ('Number of LVs with work to do', ('vg', 'work')),
    'exports': ('Number of LVs that are served to hosts', ()),
    'sessions': ('Number of connected hosts, if the kernel tells', ()),
}
_Sample = tuple[str, tuple[str, ...], float]


def _samples(seen: survey.Survey) -> Iterator[_Sample]:
    """Yield the name, the labels and the value of each gauge."""
    if not seen.pools:
        yield 'up', ('',), 0
    for pool in seen.pools:
        yield 'up', (pool.name,), not (seen.fault or pool.fault)
        if pool.capacity is not None:
            yield 'capacity_bytes', (pool.name,), pool.capacity.total_bytes
            yield 'capacity_free_bytes', (pool.name,), pool.capacity.free_bytes
            yield ('provisioned_bytes', (pool.name,),
                   pool.capacity.provisioned_bytes)
    for vg in seen.vgs:
        yield from _vg_samples(vg)
    if seen.exports is not None:
        sessions = [export.sessions for export in seen.exports]
        yield 'exports', (), len(sessions)
        if None not in sessions:
            yield 'sessions', (), sum(filter(None, sessions))


def _vg_samples(facts: survey.VGFacts) -> Iterator[_Sample]:
    vg = facts.picture.vg
    own = (vg.name,)
    yield 'vg_size_bytes', own, vg.size_bytes
    yield 'vg_free_bytes', own, vg.free_bytes
    yield 'vg_metadata_used_ratio', own, _ratio(vg.metadata_percent)
    missing = sum(pv.missing for pv in facts.pvs)
    yield 'pvs', (vg.name, 'missing'), missing
    yield 'pvs', (vg.name, 'present'), len(facts.pvs) - missing
    for pool in facts.thin_pools:
        yield from _thin_pool_samples(pool)
    lvs = facts.picture.lvs
    for labels, (count, size_bytes) in survey.count_lvs(lvs).items():
        yield 'lvs', (vg.name, *labels), count
        yield 'lvs_size_bytes', (vg.name, *labels), size_bytes
    yield 'lvs_unhealthy', own, sum(
        lv.health is not None or lv.is_invalid for lv in lvs.values())
    for lv in lvs.values():
        if lv.can_overflow and lv.data_percent is not None:
            yield ('cow_snapshot_used_ratio', (vg.name, lv.name),
                   _ratio(lv.data_percent))
    for name, percent in facts.synchronized.items():
        yield 'synchronized_ratio', (vg.name, name), _ratio(percent)
    yield 'wipe_backlog_bytes', own, sum(
        work.size_bytes for work in facts.work if work.what == survey.WIPE)
    for what, count in collections.Counter(
            work.what for work in facts.work).items():
        yield 'pending', (vg.name, what), count


def _thin_pool_samples(pool: lvm.LogicalVolume) -> Iterator[_Sample]:
    own = (pool.vg_name, pool.name)
    yield 'thin_pool_size_bytes', own, pool.size_bytes
    yield 'thin_pool_metadata_size_bytes', own, pool.metadata_size_bytes or 0
    # LVM does not know how full an inactive pool is.
    for name, percent in (('data', pool.data_percent),
                          ('metadata', pool.metadata_percent)):
        if percent is not None:
            yield f'thin_pool_{name}_used_ratio', own, _ratio(percent)


def _ratio(percent: decimal.Decimal) -> float:
    return float(percent) / 100


def _operations(surveys: list[survey.Survey]) -> core.Metric:
    """Return how long the operations of the service took."""
    histogram = core.HistogramMetricFamily(
        'cinder_lvm_operation_duration_seconds',
        'How long operations of cinder-volume took',
        labels=['backend', 'operation', 'outcome'])
    for seen in surveys:
        for timing in timings.read(timings.path_of(
                cfg.CONF.state_path, seen.section.name)):
            up_to = itertools.accumulate(timing.counts)
            histogram.add_metric(
                [seen.section.name, timing.operation, timing.outcome],
                buckets=[(str(bound), float(count)) for bound, count in zip(
                    [*timings.BOUNDS, _INFINITY], up_to, strict=True)],
                sum_value=timing.seconds)
    return histogram
