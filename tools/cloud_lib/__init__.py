# SPDX-License-Identifier: Apache-2.0
"""What the clouds of ``tools/demo`` and ``tools/openstack`` share.

``rest``       a user's client
``compute``    the compute node: os-brick and the attached devices
``storage``    volume groups, and what targets and initiators hold
``scenario``   a user's steps
``steps``      runs steps and writes down how they went
``table``      how the steps are shown
``waiting``    waits for a condition, with a deadline
``preparing``  what tools/setup installs
``logs``       what a log complains about
``errors``     what can go wrong
"""
