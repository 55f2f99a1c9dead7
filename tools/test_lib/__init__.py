# SPDX-License-Identifier: Apache-2.0
"""What the test run consists of; tools/test_stages.py puts it together."""
