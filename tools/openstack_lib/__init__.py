# SPDX-License-Identifier: Apache-2.0
"""The parts of ``tools/openstack``: a real OpenStack around the driver.

``launch`` has its commands. ``control`` runs the control plane on this
machine; gunicorn runs ``apis``, and the interpreter of the services runs
``register``. ``tempest`` runs ``follow`` with tempest's interpreter.

``node`` starts the storage node, where ``guest`` runs as root and starts
``volume`` as user cinder. ``remote`` runs commands there, such as ``attach``
and ``survive``.
"""
