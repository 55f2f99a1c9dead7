# SPDX-License-Identifier: Apache-2.0
"""The steps in configfs, or of tgtadm, that a target needs; nothing else.

They serve a device, admit a host, remove it, and stop to serve the device.
"""

_LIO = '/sys/kernel/config/target'
_NVMET = '/sys/kernel/config/nvmet'
_IQN = 'iqn.2010-10.org.example:bare'
_NQN = 'nqn.2010-10.org.example:bare'
_UUID = '11111111-2222-3333-4444-555555555555'
_USER, _SECRET = 'name', 'secret123456'
_TID = '65000'


def lio(root, device, connector, port):
    """Serve a device with LIO."""
    hba, store = f'{_LIO}/core/iblock_9999', f'{_LIO}/core/iblock_9999/bare'
    target = f'{_LIO}/iscsi/{_IQN}'
    tpg = f'{target}/tpgt_1'
    lun, acl = f'{tpg}/lun/lun_0', f'{tpg}/acls/{connector["initiator"]}'
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


def nvmet(root, device, connector, port):
    """Serve a device with nvmet over TCP."""
    subsystem = f'{_NVMET}/subsystems/{_NQN}'
    namespace = f'{subsystem}/namespaces/1'
    host = f'{_NVMET}/hosts/{connector["nqn"]}'
    there = f'{_NVMET}/ports/60000'
    served = f'{there}/subsystems/{_NQN}'
    allowed = f'{subsystem}/allowed_hosts/{connector["nqn"]}'
    root.ask(verb='configfs', steps=[
        ('mkdir', subsystem), ('mkdir', namespace),
        ('write', f'{namespace}/device_path', device),
        ('write', f'{namespace}/device_uuid', _UUID),
        ('write', f'{namespace}/enable', '1'),
        ('mkdir', there), ('write', f'{there}/addr_trtype', 'tcp'),
        ('write', f'{there}/addr_adrfam', 'ipv4'),
        ('write', f'{there}/addr_trsvcid', str(port)),
        ('write', f'{there}/addr_traddr', '127.0.0.1'),
        ('link', subsystem, served),
        ('mkdir', host), ('link', host, allowed),
        ('unlink', allowed), ('rmdir', host),
        ('unlink', served), ('rmdir', there),
        ('write', f'{namespace}/enable', '0'),
        ('rmdir', namespace), ('rmdir', subsystem)])


def tgt(root, device, _connector, _port):
    """Serve a device with tgtd, on the portals that it has."""
    for mode, operation, *arguments in (
            ('target', 'new', '--tid', _TID, '--targetname', _IQN),
            ('logicalunit', 'new', '--tid', _TID, '--lun', '1',
             '--backing-store', device),
            ('account', 'new', '--user', _USER, '--password', _SECRET),
            ('account', 'bind', '--tid', _TID, '--user', _USER),
            ('target', 'bind', '--tid', _TID, '--initiator-address', 'ALL'),
            ('target', 'unbind', '--tid', _TID, '--initiator-address', 'ALL'),
            ('account', 'delete', '--user', _USER),
            ('target', 'delete', '--tid', _TID, '--force')):
        root.run('tgtadm', '--lld', 'iscsi', '--mode', mode, '--op',
                 operation, *arguments)
