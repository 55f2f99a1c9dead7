# SPDX-License-Identifier: Apache-2.0
"""The driver is killed, and what it works with fails, at every point."""
