# SPDX-License-Identifier: Apache-2.0
"""Stats: what the scheduler knows of a back end."""

import decimal
from typing import Any

from oslo_utils import units

from cinder_lvm_driver import backend as backends
from cinder_lvm_driver.operations import location


def collect(pools: backends.Pools, *, driver_version: str,
            filter_function: str | None,
            goodness_function: str | None) -> dict[str, Any]:
    """Return the back end's stats, also if LVM does not answer.

    Cinder asks for them once a minute, which is also when the wiping of
    deleted LVs that were in use is tried again.

    The keys of a pool are those of the in-tree driver, the one by which group
    types ask for consistent snapshots, and three of our own that tell how
    full an active thin pool and the VG's metadata area are. Option lvm_pool
    adds ``lvm_layout``, for volume types. Capacities are in GiB, rounded to
    two places.
    """
    for backend in pools.one_per_vg():
        backend.remover.retry()
    target = pools[0].target
    target_fault = target.fault()
    functions = {'filter_function': filter_function,
                 'goodness_function': goodness_function}
    settings = pools[0].settings
    return {
        'volume_backend_name': settings.backend_name,
        'vendor_name': 'Open Source',
        'driver_version': driver_version,
        'storage_protocol': target.storage_protocol,
        'pools': [{**_pool(backend, target_fault), **functions}
                  for backend in pools],
        'shared_targets': settings.share_target,
        'sparse_copy_volume': all(backend.layout.reads_zeroes
                                  for backend in pools),
    }


def _pool(backend: backends.Backend,
          target_fault: str | None) -> dict[str, Any]:
    reading = backend.watch.look(backend.vg, backend.layout, target_fault)
    settings, capacity = backend.settings, reading.capacity
    lvm_type = backend.layout.lvm_type
    is_thin = lvm_type == 'thin'
    stats = {
        'pool_name': settings.pool_name,
        'total_capacity_gb': _gib(capacity.total_bytes),
        'free_capacity_gb': _gib(capacity.free_bytes),
        'provisioned_capacity_gb': _gib(capacity.provisioned_bytes),
        'reserved_percentage': settings.reserved_percentage,
        'max_over_subscription_ratio': settings.max_over_subscription_ratio,
        'location_info': location.Location(
            backend.hostname, settings.volume_group, lvm_type,
            settings.lvm_mirrors).format(),
        'QoS_support': False,
        'thin_provisioning_support': is_thin,
        'thick_provisioning_support': not is_thin,
        'consistent_group_snapshot_enabled': is_thin,
        'total_volumes': reading.volume_count,
        'multiattach': True,
        'backend_state': 'up' if reading.fault is None else 'down',
        **_percentages(lvm_thin_pool_data_percent=capacity.data_percent,
                       lvm_thin_pool_metadata_percent=(
                           capacity.metadata_percent),
                       lvm_vg_metadata_percent=reading.metadata_percent),
    }
    if settings.is_listed:
        stats['lvm_layout'] = backend.layout.segtype
    return stats


def _percentages(**values: decimal.Decimal | None) -> dict[str, float]:
    return {key: round(float(value), 2) for key, value in values.items()
            if value is not None}


def _gib(size_bytes: int) -> float:
    size_gib: float = size_bytes / units.Gi
    return round(size_gib, 2)
