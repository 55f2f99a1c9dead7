# SPDX-License-Identifier: Apache-2.0
"""What can go wrong."""


class CloudError(Exception):
    """Something is not as it should be; the text says what, in a sentence."""
