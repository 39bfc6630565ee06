#!/bin/sh
# Findings are an answer, not a failure of the task: exit status 1 is theirs (docs/reference/exit-status.md).
"${PT_command:?}" analyze -T "${PT_format:?}" -- "${PT_path:?}"
status=$?
[ "$status" -le 1 ] && exit 0
exit "$status"
