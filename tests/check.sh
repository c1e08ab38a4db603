# check NAME COMMAND...: runs the command and prints "ok   NAME", or "FAIL NAME" and what the command said.
# The script that sources this file ends with `exit $status`.
status=0
check() {
  local name=$1 said
  shift
  if said=$("$@" 2>&1); then
    echo "ok   $name"
  else
    echo "FAIL $name"
    [[ -z $said ]] || sed 's/^/     | /' <<<"$said"
    status=1
  fi
}
