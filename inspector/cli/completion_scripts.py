"""What each shell is to run, so that it asks the program how a line may go on."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, get_completion_class

BASH = r"""%(complete_func)s() {
    local cur cword words response kind value
    if declare -F _get_comp_words_by_ref > /dev/null; then
        _get_comp_words_by_ref -n : -c cur -w words -i cword
    else
        words=("${COMP_WORDS[@]}") cword=$COMP_CWORD cur=${COMP_WORDS[COMP_CWORD]}
    fi
    response=$(COMP_WORDS="${words[*]}" COMP_CWORD="$cword" %(complete_var)s=bash_complete "$1")
    COMPREPLY=()
    while IFS=, read -r kind value; do
        case $kind in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value"); [[ $value == *: ]] && compopt -o nospace ;;
        esac
    done <<< "$response"
    if declare -F __ltrim_colon_completions > /dev/null; then
        __ltrim_colon_completions "$cur"
    fi
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""
"""Of bash, which takes a colon for the end of a word; what undoes that comes with its completions."""


class WholeWordBash(BashComplete):
    """Words are whole, with their colons."""

    source_template = BASH


class WholeLineFish(FishComplete):
    """What is said of a word is whole, with its commas."""

    source_template = FishComplete.source_template.replace('(string split ","', '(string split -m 1 ","')


SHELLS: dict[str, type[ShellComplete]] = {"bash": WholeWordBash, "fish": WholeLineFish}
"""Those whose way differs from click's."""


def script(shell: str, program: str, variable: str) -> str:
    """What a shell is to run. ``variable``: of the environment, by which the program is asked."""
    kind = SHELLS.get(shell) or get_completion_class(shell)
    assert kind is not None
    return ShellComplete.source(kind(click.Group(), {}, program, variable)).lstrip("\n")
