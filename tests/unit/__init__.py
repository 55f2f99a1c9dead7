# SPDX-License-Identifier: Apache-2.0
"""Unit tests; the folders mirror those of the package."""
