# SPDX-License-Identifier: Apache-2.0
"""Renders the outcomes of steps as a table."""

from collections.abc import Sequence
import textwrap

from cloud_lib import steps

WIDTH = 79
_MARKS = {steps.DONE: 'ok', steps.FAILED: 'FAILED', steps.NOT_RUN: '-'}
_SECONDS = 6


def render(outcomes: Sequence[steps.Outcome]) -> str:
    """Return a table: step, what was checked, seconds."""
    if not outcomes:
        return 'no step was run\n'
    first = max(len('step'), *(len(found.name) for found in outcomes))
    mark = max(len(_MARKS[found.state]) for found in outcomes)
    second = max(20, WIDTH - first - mark - _SECONDS - 6)
    rule = '-' * (first + mark + second + _SECONDS + 6) + '\n'
    text = [f'{"step":{first}}  {"":{mark}}  {"what was checked":{second}}'
            f'  {"s":>{_SECONDS}}\n', rule]
    for found in outcomes:
        lines = textwrap.wrap(found.detail, second) or ['']
        seconds = ('' if found.state == steps.NOT_RUN
                   else f'{found.seconds:.1f}')
        text.append(f'{found.name:{first}}  {_MARKS[found.state]:{mark}}  '
                    f'{lines[0]:{second}}  {seconds:>{_SECONDS}}\n')
        text += [f'{"":{first}}  {"":{mark}}  {line}\n'
                 for line in lines[1:]]
    total = sum(found.seconds for found in outcomes)
    passed = sum(found.state == steps.DONE for found in outcomes)
    text += [rule, f'{passed} of {len(outcomes)} steps ok, '
             f'{total:.0f} s\n']
    return ''.join(text)
