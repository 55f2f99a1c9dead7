# SPDX-License-Identifier: Apache-2.0
"""What becomes of each of Cinder's tests of its LVM driver, and why.

Its test of the interface that every driver has is among them.

To update it: run the tests, and move the names they complain of. The manual
(``doc/source/contributor/upstream-tests.rst``) is made from this module, so
it imports nothing of Cinder.
"""

import dataclasses

HOLDS = 'holds'
DIFFERS = 'differs'
ELSEWHERE = 'elsewhere'

_DRIVER = 'LVMVolumeDriverTestCase'
_ISCSI = 'LVMISCSITestCase'
_COMPLIANCE = 'TestVolumeDrivers'


@dataclasses.dataclass(frozen=True)
class Group:
    """Tests with one fate.

    :ivar outcome: of ``HOLDS``, ``DIFFERS`` and ``ELSEWHERE``
    :ivar reason: one sentence
    :ivar shows: what a failure for this reason has in its traceback, as a
        pattern; anything else is a fault of the adapter or of the driver
    :ivar since: the first release of Cinder for which this is so; before
        it these tests hold, because they asked for less
    """

    outcome: str
    reason: str
    tests: tuple[str, ...]
    since: int = 0
    shows: str = ''


def _named(case, names):
    return tuple(f'{case}.test_{name}' for name in names.split())


GROUPS = (
    Group(HOLDS, 'The driver does what the test asks for.', (
        *_named(_DRIVER, """
            __init___secondary_ips_not_supported
            __init___share_target_not_requested_1_True
            __init___share_target_not_requested_2_False
            __init___share_target_not_supported
            __init___share_target_supported
            check_for_setup_error
            create_cloned_volume_by_thin_snapshot
            create_volume_from_snapshot_none_sparse
            create_volume_from_snapshot_sparse
            create_volume_from_snapshot_sparse_extend
            lvm_get_manageable_snapshots
            lvm_get_manageable_volumes
            lvm_manage_existing
            lvm_manage_existing_already_managed
            lvm_manage_existing_bad_ref
            lvm_manage_existing_bad_size
            lvm_manage_existing_not_found
            lvm_manage_existing_snapshot
            lvm_manage_existing_snapshot_bad_ref
            lvm_manage_existing_snapshot_bad_size
            lvm_migrate_volume_bad_loc_info
            lvm_migrate_volume_diff_driver
            lvm_migrate_volume_diff_host
            lvm_migrate_volume_in_use
            lvm_migrate_volume_no_loc_info
            lvm_migrate_volume_proceed
            lvm_type_auto_no_lvs
            lvm_type_auto_thin_pool_exists
            lvm_unmanage
            lvm_volume_group_missing
            retype_volume
            update_migrated_volume"""),
        *_named(_ISCSI, """
            get_volume_stats
            multiattach_terminate_connection
            multiattach_terminate_connection_with_differing_mountpoints"""),
        *_named(_COMPLIANCE, 'volume_driver_compliance_1'))),
    Group(DIFFERS,
          'The size to wipe is the one that LVM reports, so that a volume '
          'of Cinder without a size cannot leave data behind.',
          _named(_DRIVER, 'delete_volume_invalid_parameter'),
          shows='in clear_volume'),
    Group(DIFFERS,
          'A COW snapshot is split off and wiped as an LV of its own instead '
          'of through its -cow device, see decision 5.',
          _named(_DRIVER, 'delete_volume_thinlvm_snap'), since=28,
          shows=r'Expected: .*-cow.*\n\s*Actual: .*cinder--wipe'),
    Group(DIFFERS,
          'A delete is answered before the wipe, so an LV that cannot be '
          'wiped is an error in the log and is tried again at the next '
          'start.',
          _named(_DRIVER, 'delete_volume_bad_path'),
          shows='returned None'),
    Group(DIFFERS,
          'Thin volumes are reverted too, at once, instead of by the copy '
          'that NotImplementedError makes Cinder do.',
          _named(_DRIVER, 'revert_thin_snapshot'),
          shows='returned None'),
    Group(DIFFERS,
          'A revert refuses a volume in use, so LVM merges at once and '
          'nothing needs to be taken down and up again for it.',
          _named(_DRIVER, 'revert_snapshot'),
          shows="Expected 'deactivate_lv' to be called once"),
    Group(DIFFERS,
          'lvm_type = auto does not fall back for an LVM without thin '
          'provisioning: the driver refuses to start with one so old.',
          _named(_DRIVER, """
              lvm_type_auto_no_thin_pool
              lvm_type_auto_no_thin_support"""),
          shows="'default' != 'thin'|in get_volumes"),
    Group(DIFFERS,
          'A migration within the VG converts the LV in place if LVM can do '
          'that, instead of refusing what takes no copy.',
          _named(_DRIVER, 'lvm_migrate_volume_same_volume_group'),
          shows=r'returned \(True, None\)'),
    Group(DIFFERS,
          'Whether a copy may leave out zeroes is decided by where it goes: '
          'the test moves a thin volume to thick ones, which do not read as '
          'zeroes where nothing was written.',
          _named(_DRIVER, 'lvm_migrate_volume_proceed_with_thin'),
          shows=r'Expected: copy_volume.*sparse=True\)\n'
                r'\s*Actual: copy_volume.*sparse=False\)'),
    Group(DIFFERS,
          'A copy that fails is told by an exception of Cinder, and the LV '
          'that holds a part of it is wiped before it is removed.',
          _named(_DRIVER, 'lvm_migrate_volume_volume_copy_error'),
          shows="(?s)Wiping LV cinder-arriving-test under the name "
                "cinder-wipe-.*VolumeBackendAPIException: .*'dd' ended"),
    Group(ELSEWHERE,
          'The test is of the class that Cinder has for tgt, and never '
          'reaches a volume driver.',
          _named(_ISCSI, """
              do_iscsi_discovery
              get_iscsi_properties
              get_iscsi_properties_multiple_portals
              validate_connector""")),
    Group(ELSEWHERE, 'The test is of the register that drivers are in.',
          _named(_COMPLIANCE, 'volume_driver_decorator')),
)


def expected(release):
    """Return the outcome of each test for a release of Cinder, by name."""
    return {test: group.outcome if release >= group.since else HOLDS
            for group in GROUPS for test in group.tests}
