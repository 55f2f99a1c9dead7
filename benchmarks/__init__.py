# SPDX-License-Identifier: Apache-2.0
"""What the driver costs beside the in-tree one, on one machine in one run."""
