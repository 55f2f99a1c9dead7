# SPDX-License-Identifier: Apache-2.0
"""The exception that tools/demo and tools/openstack report."""


class CloudError(Exception):
    """A step failed; the text gives the reason and the remedy, if any."""
