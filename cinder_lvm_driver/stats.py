# SPDX-License-Identifier: Apache-2.0
"""What the scheduler is told of a back end."""

from typing import Any

from oslo_utils import units

from cinder_lvm_driver import location
from cinder_lvm_driver import options
from cinder_lvm_driver.provisioning import base as provisioning


def build(*, settings: options.Settings, capacity: provisioning.Capacity,
          volume_count: int, lvm_type: str, hostname: str,
          driver_version: str, storage_protocol: str,
          filter_function: str | None,
          goodness_function: str | None) -> dict[str, Any]:
    """Return the back end's stats with the in-tree driver's keys.

    Capacities are GiB, rounded to two places as there.
    """
    is_thin = lvm_type == 'thin'
    pool = {
        'pool_name': settings.backend_name,
        'total_capacity_gb': _gib(capacity.total_bytes),
        'free_capacity_gb': _gib(capacity.free_bytes),
        'provisioned_capacity_gb': _gib(capacity.provisioned_bytes),
        'reserved_percentage': settings.reserved_percentage,
        'max_over_subscription_ratio': settings.max_over_subscription_ratio,
        'location_info': location.Location(
            hostname, settings.volume_group, lvm_type,
            settings.lvm_mirrors).format(),
        'QoS_support': False,
        'thin_provisioning_support': is_thin,
        'thick_provisioning_support': not is_thin,
        'total_volumes': volume_count,
        'filter_function': filter_function,
        'goodness_function': goodness_function,
        'multiattach': True,
        'backend_state': 'up',
    }
    return {
        'volume_backend_name': settings.backend_name,
        'vendor_name': 'Open Source',
        'driver_version': driver_version,
        'storage_protocol': storage_protocol,
        'pools': [pool],
        'shared_targets': settings.share_target,
        'sparse_copy_volume': is_thin,
    }


def _gib(size_bytes: int) -> float:
    return round(size_bytes / units.Gi, 2)
