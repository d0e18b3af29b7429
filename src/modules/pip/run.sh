# $1: `compare` if what is installed is to be compared before and after. $2: how many of the words after it call pip.
# The rest: pip's command line.
how=$1 count=$2; shift 2
PIP_DISABLE_PIP_VERSION_CHECK=1; PIP_NO_INPUT=1; export PIP_DISABLE_PIP_VERSION_CHECK PIP_NO_INPUT
if [ "$count" = 1 ]; then freeze() { "$1" freeze 2>/dev/null; }; else freeze() { "$1" "$2" "$3" freeze 2>/dev/null; }; fi
if [ "$how" = compare ]; then before=$(freeze "$@"); fi
"$@" </dev/null
rc=$?
if [ "$how" = compare ] && [ "$before" != "$(freeze "$@")" ]; then printf '\n=changed\n'; fi
exit $rc
