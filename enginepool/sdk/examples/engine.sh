#!/bin/sh
# An engine in shell: sh engine.sh. Its procedures: ECHO, UPPER, ASK and SLOW <seconds>. A shell knows no NUL bytes.
LC_ALL=C # lengths are bytes
[ "$ENGINE_FD" = 3 ] || { echo "ENGINE_FD is not 3: an engine is started by the server" >&2; exit 2; }
d=$(printf '\001') # ends a field
worker=

# read_bytes n: the next n bytes, and a point, so that no line end is lost. dd by single bytes reads nothing too much: what
# it read ahead would be lost. head -c reads ahead in some systems.
read_bytes() { dd bs=1 count="$1" 2>/dev/null <&3; echo .; }

# read_order sets code, rid and fields, raw. At the end of the connection the engine ends.
read_order() {
  size=$(read_bytes 8) && size=${size%.}
  [ ${#size} = 8 ] || finish
  size=${size#"${size%%[!0]*}"} # zeros in front would make it octal
  payload=$(read_bytes "${size:-0}") && payload=${payload%.}$d$d
  code=${payload%%"$d"*} payload=${payload#*"$d"}
  rid=${payload%%"$d"*} fields=${payload#*"$d"}
  fields=${fields%"$d"} fields=${fields%"$d"}
}

# send an event: its fields. The last one may hold any byte: it goes to the end of the frame.
send() {
  event=$1 && shift
  for field; do event=$event$d$field; done
  printf '%08d%s' ${#event} "$event" >&3
}

finish() { # without leaving anything behind
  [ -z "$worker" ] || kill "$worker" 2>/dev/null
  exit 0
}

# slow runs in a worker, so that the engine can read a break meanwhile. From the moment it answers it cannot be stopped.
slow() {
  trap 'kill $nap; exit 1' TERM
  sleep "$1" 3>&- & nap=$! # without the descriptor, so that the connection ends with the engine
  wait $nap
  trap '' TERM
  send 3 "$rid" '' slept
}

call() {
  worker=
  send 0 "$rid" # begun: from here on no other engine gets this request
  kind=${fields%%"$d"*} rest=${fields#*"$d"}
  procedure=${rest%%"$d"*} rest=${rest#*"$d"}
  args=${rest#*"$d"} && args=${args%"$d"} # behind the deadline; each argument is ended by d
  case $procedure in
  ECHO) send 3 "$rid" '' "$args" ;;
  UPPER) upper=$(printf %s. "$args" | tr a-z A-Z) && send 3 "$rid" '' "${upper%.}" ;;
  ASK)
    asked=$rid && send 10 "$rid" 'Name? '
    until [ "$code" = 19 ] || [ "$code" = 100 ]; do read_order; done
    if [ "$code" = 19 ]; then send 3 "$asked" '' "Hello $fields"; else send 4 "$asked" BREAK broken; fi ;;
  SLOW) slow "${args%%"$d"*}" & worker=$! ;;
  *) send 4 "$rid" UNKNOWN 'unknown procedure' ;;
  esac
}

send HELLO 0 1 shell 1
while read_order; do
  case $code in
  1) send 3 "$rid" ;; # login: the fields are user, password, application, mode, procedure, flags, location. All are welcome.
  2) finish ;;
  100) # stop the worker; when it has answered already, that was the answer
    if [ -n "$worker" ]; then kill "$worker" 2>/dev/null; wait "$worker" || send 4 "$rid" BREAK broken; worker=; fi ;;
  19 | 101) ;; # too late
  *) call ;;
  esac
done
