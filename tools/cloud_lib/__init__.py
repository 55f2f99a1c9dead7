# SPDX-License-Identifier: Apache-2.0
"""Code shared by ``tools/demo`` and ``tools/openstack``.

``arguments``   command line arguments that both programs accept
``programs``    the other programs in tools/, and the environment of ours
``stored``      settings that one process writes and another reads
``logs``        errors and last lines of a log
``waiting``     waits for a condition, with a deadline
``errors``      the exception that both programs report

In the test machine:

``deployment``  Cinder on a storage node: user, configuration, processes
``storage``     volume groups, and the state of targets and initiators
``rest``        a client of Cinder's REST API
``compute``     what nova-compute does with os-brick, and the block devices
``user``        a user with volumes, attachments and a host
``scenario``    the steps of that user
``steps``       runs steps and records their outcome
``table``       renders the outcomes
"""
