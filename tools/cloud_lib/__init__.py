# SPDX-License-Identifier: Apache-2.0
"""Code shared by ``tools/demo`` and ``tools/openstack``."""
