# SPDX-License-Identifier: Apache-2.0
"""The parts of ``tools/demo``: a small real cloud and its user.

``launch`` runs on this machine and boots the test machine. There ``guest``
runs all steps as root and starts ``cloud``, Cinder in one process, as user
cinder.
"""
