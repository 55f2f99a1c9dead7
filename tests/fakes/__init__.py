# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for what the driver works with: LVM, commands, targets."""
