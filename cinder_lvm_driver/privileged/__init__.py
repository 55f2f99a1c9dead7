# SPDX-License-Identifier: Apache-2.0
"""The code that runs as root: a few narrow verbs on the kernel's targets.

cinder-volume starts daemons for this package, through ``cinder-rootwrap``
(see ``program``). To keep their start short and the code that runs as root
easy to read, nothing here imports cinder, or any part of the driver but
``blockdev``, ``errors``, ``naming``, ``openers`` and ``rollback``.
"""
