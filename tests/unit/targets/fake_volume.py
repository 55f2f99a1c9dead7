# SPDX-License-Identifier: Apache-2.0
"""Volumes, connectors and configuration as the target helpers see them."""

import types

UUID = '11111111-2222-3333-4444-5555555555%02d'
PREFIX = 'iqn.2010-10.org.openstack:'
HOST = {'initiator': 'iqn.1993-08.org.debian:01:aaaa', 'host': 'a',
        'ip': '10.0.0.1', 'multipath': False}
OTHER_HOST = {**HOST, 'initiator': 'iqn.1993-08.org.debian:01:bbbb',
              'host': 'b'}
AUTH = 'CHAP name secret123456'


def volume(number=1, connectors=(), **values):
    """Return a volume that has been exported, attached to some hosts."""
    volume_id = UUID % number
    iqn = f'{PREFIX}volume-{volume_id}'
    return types.SimpleNamespace(**{
        'id': volume_id, 'name': f'volume-{volume_id}', 'name_id': volume_id,
        'provider_location': f'10.0.0.1:3260,{iqn} {iqn} 0',
        'provider_auth': AUTH, 'provider_geometry': None,
        'encryption_key_id': None, 'multiattach': False,
        'volume_attachment': [attachment(connector)
                              for connector in connectors],
        **values})


def new_volume(number=1, **values):
    """Return a volume that has never been exported."""
    return volume(number, provider_location=None, provider_auth=None,
                  **values)


def attachment(connector, status='attached', connection_info=None):
    return types.SimpleNamespace(connector=connector, attach_status=status,
                                 connection_info=connection_info)


def configuration(**values):
    return types.SimpleNamespace(**{
        'target_helper': 'lioadm', 'target_prefix': PREFIX,
        'target_ip_address': '10.0.0.1', 'target_port': 3260,
        'target_secondary_ip_addresses': [], 'target_protocol': 'iscsi',
        'lvm_share_target': False, 'nvmet_port_id': 1, 'nvmet_ns_id': 10,
        'nvmeof_conn_info_version': 2, 'lvm_nvme_key_file': None,
        'lvm_nvme_require_keys': False,
        'volumes_dir': '/nonexistent', 'iscsi_write_cache': 'on',
        'iscsi_target_flags': '',
        **values})
