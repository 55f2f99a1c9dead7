# SPDX-License-Identifier: Apache-2.0
"""LVM: typed facts, commands and errors; knows nothing of Cinder."""

from cinder_lvm_driver.lvm.errors import CommandOfLVMFailed
from cinder_lvm_driver.lvm.errors import InsufficientSpace
from cinder_lvm_driver.lvm.errors import InvalidRequest
from cinder_lvm_driver.lvm.errors import LogicalVolumeExists
from cinder_lvm_driver.lvm.errors import LogicalVolumeInUse
from cinder_lvm_driver.lvm.errors import LogicalVolumeLargeEnough
from cinder_lvm_driver.lvm.errors import LogicalVolumeMoving
from cinder_lvm_driver.lvm.errors import LogicalVolumeNotFound
from cinder_lvm_driver.lvm.errors import LogicalVolumeOfWrongKind
from cinder_lvm_driver.lvm.errors import LogicalVolumeSuspended
from cinder_lvm_driver.lvm.errors import LVMError
from cinder_lvm_driver.lvm.errors import NameTooLong
from cinder_lvm_driver.lvm.errors import PhysicalVolumeDuplicate
from cinder_lvm_driver.lvm.errors import PhysicalVolumeMissing
from cinder_lvm_driver.lvm.errors import ReportError
from cinder_lvm_driver.lvm.errors import SnapshotOverflowed
from cinder_lvm_driver.lvm.errors import ThinPoolOutOfStep
from cinder_lvm_driver.lvm.errors import VolumeGroupNotFound
from cinder_lvm_driver.lvm.names import check_vg_name
from cinder_lvm_driver.lvm.space import Limits as PoolLimits
from cinder_lvm_driver.lvm.types import AutoextendPolicy
from cinder_lvm_driver.lvm.types import Autoextension
from cinder_lvm_driver.lvm.types import check_answering
from cinder_lvm_driver.lvm.types import check_not_private
from cinder_lvm_driver.lvm.types import check_removable
from cinder_lvm_driver.lvm.types import Extents
from cinder_lvm_driver.lvm.types import full_cow_store_bytes
from cinder_lvm_driver.lvm.types import LINEAR
from cinder_lvm_driver.lvm.types import LogicalVolume
from cinder_lvm_driver.lvm.types import LogicalVolumes
from cinder_lvm_driver.lvm.types import PhysicalVolume
from cinder_lvm_driver.lvm.types import Picture
from cinder_lvm_driver.lvm.types import RAID1
from cinder_lvm_driver.lvm.types import REFRESH_NEEDED
from cinder_lvm_driver.lvm.types import Shape
from cinder_lvm_driver.lvm.types import THIN
from cinder_lvm_driver.lvm.types import VolumeGroup
from cinder_lvm_driver.lvm.vg import LVM

__all__ = (
    'AutoextendPolicy',
    'Autoextension',
    'CommandOfLVMFailed',
    'Extents',
    'InsufficientSpace',
    'InvalidRequest',
    'LINEAR',
    'LVM',
    'LVMError',
    'LogicalVolume',
    'LogicalVolumeExists',
    'LogicalVolumeInUse',
    'LogicalVolumeLargeEnough',
    'LogicalVolumeMoving',
    'LogicalVolumeNotFound',
    'LogicalVolumeOfWrongKind',
    'LogicalVolumeSuspended',
    'LogicalVolumes',
    'NameTooLong',
    'PhysicalVolume',
    'PhysicalVolumeDuplicate',
    'PhysicalVolumeMissing',
    'Picture',
    'PoolLimits',
    'RAID1',
    'REFRESH_NEEDED',
    'ReportError',
    'Shape',
    'SnapshotOverflowed',
    'THIN',
    'ThinPoolOutOfStep',
    'VolumeGroup',
    'VolumeGroupNotFound',
    'check_answering',
    'check_not_private',
    'check_removable',
    'check_vg_name',
    'full_cow_store_bytes',
)
