# SPDX-License-Identifier: Apache-2.0
"""The steps in configfs that a target of LIO needs, and nothing else."""

_LIO = '/sys/kernel/config/target'
_IQN = 'iqn.2010-10.org.example:bare'
_UUID = '11111111-2222-3333-4444-555555555555'
_USER, _SECRET = 'name', 'secret123456'


def lio(root, device, initiator, port):
    """Serve a device, admit a host, remove it, stop to serve the device."""
    hba, store = f'{_LIO}/core/iblock_9999', f'{_LIO}/core/iblock_9999/bare'
    target = f'{_LIO}/iscsi/{_IQN}'
    tpg = f'{target}/tpgt_1'
    lun, acl = f'{tpg}/lun/lun_0', f'{tpg}/acls/{initiator}'
    mapped, portal = f'{acl}/lun_0', f'{tpg}/np/127.0.0.1:{port}'
    root.ask(verb='configfs', steps=[
        ('mkdir', hba), ('mkdir', store),
        ('write', f'{store}/control', f'udev_path={device}'),
        ('write', f'{store}/udev_path', device),
        ('write', f'{store}/enable', '1'),
        ('write', f'{store}/wwn/vpd_unit_serial', _UUID),
        ('write', f'{store}/attrib/emulate_tpu', '1'),
        ('mkdir', target), ('mkdir', tpg),
        ('write', f'{tpg}/attrib/authentication', '1'),
        ('write', f'{tpg}/attrib/generate_node_acls', '0'),
        ('mkdir', lun), ('link', store, f'{lun}/backstore'),
        ('mkdir', portal), ('write', f'{tpg}/enable', '1'),
        ('mkdir', acl), ('write', f'{acl}/auth/userid', _USER),
        ('write', f'{acl}/auth/password', _SECRET),
        ('mkdir', mapped), ('link', lun, f'{mapped}/lun'),
        ('unlink', f'{mapped}/lun'), ('rmdir', mapped), ('rmdir', acl),
        ('write', f'{tpg}/enable', '0'),
        ('unlink', f'{lun}/backstore'), ('rmdir', lun), ('rmdir', portal),
        ('rmdir', tpg), ('rmdir', target), ('rmdir', store), ('rmdir', hba)])
