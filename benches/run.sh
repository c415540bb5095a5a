#!/usr/bin/env bash
# `make bench`: measures Duplex and its peers in one run. README.md describes the measurements.
#
#   benches/run.sh cost         the server's CPU time of single requests, also of an older binary with BEFORE=FILE: see cost.mjs
#   benches/run.sh log          commands to one topic and to a hundred, without a network; the cost of forwards in the log's appends
#   benches/run.sh [PART ...]   only these parts: page, echo, commands, fanout, deflate, resume, members, arena; topics means commands to members
#
#   DUPLEX_BIN, DUPLEX_SITE   a built server (default: target/release/duplex and target/site, built if missing)
#   BEFORE                    another build of Duplex, such as an earlier one, to measure beside it where that takes little time
#   CHROMIUM                  default /usr/bin/chromium
#   PAGE_RUNS, ROUNDS         loads per condition and site (9), rounds of each measurement of the echo (3)
#   TOPIC_ROUNDS              rounds of each measurement of the topics (2)
#   ARENA_ROUNDS              rounds of each measurement of the arena (3)
set -uo pipefail
[ -z "${DUPLEX_BIN:-}" ] || DUPLEX_BIN=$(realpath -m "$DUPLEX_BIN")
[ -z "${DUPLEX_SITE:-}" ] || DUPLEX_SITE=$(realpath -m "$DUPLEX_SITE")
[ -z "${BEFORE:-}" ] || BEFORE=$(realpath -m "$BEFORE")
export BEFORE
cd "$(dirname "$0")"
[ "$*" != cost ] || exec node cost.mjs
if [ "$*" = log ]; then
  cd .. && cargo build --quiet --release --locked -p duplex-hub --example commands || exit
  target=${CARGO_TARGET_DIR:-target}
  pin=()
  ! command -v taskset >/dev/null || pin=(taskset -c $(($(nproc) - 1)))
  "${pin[@]}" "$target/release/examples/commands" "$target" || exit
  exec cargo test --quiet --release --locked --test server log::cost::forwards -- --ignored --exact --nocapture
fi

parts=" ${*:-page echo topics arena} "
parts=${parts/ topics / commands fanout deflate resume members }
for part in $parts; do
  case $part in
    page | echo | commands | fanout | deflate | resume | members | arena) ;;
    *) echo "run.sh: $part is none of page, echo, topics, commands, fanout, deflate, resume, members, arena" >&2; exit 2 ;;
  esac
done
wanted() { local part; for part; do [[ $parts != *" $part "* ]] || return 0; done; return 1; }

target=$PWD/target
results=$target/results
data=$target/data # not in /tmp, which may be a tmpfs
raw=$results/raw.ndjson
load=$target/release/load
export CHROMIUM=${CHROMIUM:-/usr/bin/chromium} NEXT_TELEMETRY_DISABLED=1 NODE_ENV=production
mkdir -p "$results" "$data"
: >"$raw"
ulimit -n "$(ulimit -Hn)" 2>/dev/null

# With two cores or more, the server under load and the load generator are each pinned to a core.
cores=$(nproc)
pin_server=() pin_load=()
if ((cores > 1)) && command -v taskset >/dev/null; then
  pin_server=(taskset -c $((cores - 1))) pin_load=(taskset -c $((cores - 2)))
fi

declare -A pids=()
step() { printf '%4ds  %s\n' "$SECONDS" "$*" >&2; }
json() { node -p 'JSON.stringify(Object.fromEntries(process.argv.slice(1).map((a) => a.split(/=(.*)/s))))' "$@" >>"$raw"; }
note() { step "$1" && json kind=note text="$1"; }
missing() { step "not measured: $1 of $2: $3" && json kind=missing what="$1" who="$2" why="$3"; }

stop() {
  local pid=${pids[$1]:-}
  [ -n "$pid" ] || return 0
  unset "pids[$1]"
  kill "$pid" 2>/dev/null
  for _ in {1..30}; do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
  kill -9 "$pid" 2>/dev/null
  wait "$pid" 2>/dev/null
  rm -rf "${data:?}/$1"
}
stop_all() { local who; for who in "${!pids[@]}"; do stop "$who"; done; }
trap stop_all EXIT
trap 'exit 130' INT TERM

# A free port below those of outgoing connections: a client's port in TIME_WAIT cannot be listened on by every server.
free_port() {
  port=0
  while ((port == 0)) || (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((20000 + RANDOM % 12000)); done
}

# start WHO: starts a server and sets $port; fails if it does not listen within 20 s. `exec` makes the job's process id the server's.
start() {
  local program=$duplex
  [ "$1" != before ] || program=$BEFORE
  free_port
  case $1 in
    duplex | before | postcard | json)
      rm -rf "${data:?}/$1"
      # The load generator exceeds the rate limits per person and the connection limit per address. The market and the host's own
      # reports, which no peer has, are nearly idle.
      [ "$1" != json ] || export DUPLEX_ARENA_JSON=true
      export DUPLEX_DATA=$data/$1/duplex.db DUPLEX_MAX_CONNECTIONS=20000 DUPLEX_COMMAND_RATE=100000 DUPLEX_LIMITS=off
      export DUPLEX_MARKET_RATE=1 DUPLEX_DEVICES_SELF=0
      exec "${pin[@]}" "$program" --addr "127.0.0.1:$port" --site "$site"
      ;;
    socketio) PORT=$port RECOVERY=${recovery:-} exec "${pin[@]}" node --expose-gc peers/socketio/server.mjs ;;
    bun) PORT=$port DEFLATE=${deflate:-} exec "${pin[@]}" "$bun" peers/bun/server.js ;;
    ws) PORT=$port exec "${pin[@]}" node --expose-gc peers/ws/server.mjs ;;
    next) cd peers/next && PORT=$port exec "${pin[@]}" node server.js ;;
  esac >"$results/$1.log" 2>&1 &
  pids[$1]=$!
  for _ in {1..200}; do
    (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return 0
    kill -0 "${pids[$1]}" 2>/dev/null || break
    sleep 0.1
  done
  stop "$1"
  return 1
}

# install DIR: npm ci, unless the lock file is already installed.
install() {
  cmp -s "$1/package-lock.json" "$1/node_modules/.installed" && return 0
  step "npm ci in benches/$1"
  (cd "$1" && npm ci --include=prod --no-fund --no-audit && cp package-lock.json node_modules/.installed) >"$results/npm.log" 2>&1
}

# ---- builds and peers -------------------------------------------------------------------------------------------------------------------

declare -A absent=() # WHO -> the reason why it cannot be measured
why() { tail -n 3 "$1" | tr '\n' ' '; }

duplex=${DUPLEX_BIN:-$PWD/../target/release/duplex}
site=${DUPLEX_SITE:-$PWD/../target/site}
if [ -z "${DUPLEX_BIN:-}" ] && [ ! -x "$duplex" ]; then
  step "building Duplex"
  build=(cargo leptos build --project duplex --release --split --precompress)
  grep -qs '^build:' ../Makefile && build=(make build)
  (cd .. && unset NODE_ENV && "${build[@]}") >"$results/build.log" 2>&1 || absent[duplex]="the build failed: $(why "$results/build.log")"
fi
if ! [ -x "$duplex" ]; then
  absent[duplex]=${absent[duplex]:-no program at $duplex}
elif [ -z "${DUPLEX_BIN:-}" ] && [ -n "$(find ../src ../Cargo.toml -newer "$duplex" -print -quit)" ]; then
  note "Duplex was built before the latest change of its source: run \`make build\` first"
fi

before=${BEFORE:+before}
[ -z "$before" ] || [ -x "$BEFORE" ] || absent[before]="no program at $BEFORE"
[ -z "${absent[duplex]:-}" ] || absent[postcard]=${absent[duplex]} absent[json]=${absent[duplex]}
install . || absent[ws]="npm ci failed: $(why "$results/npm.log")"
[ -z "${absent[ws]:-}" ] || absent[socketio]=${absent[ws]}
bun=$(compgen -G 'node_modules/@oven/bun-*/bin/bun' | head -n 1)
if [ -z "$bun" ]; then
  absent[bun]=${absent[ws]:-npm installed no program of it for $(uname -sm)}
elif ! "$bun" --version >"$results/bun.log" 2>&1; then
  absent[bun]="it does not run here: $(why "$results/bun.log")"
fi
if ! wanted page; then
  :
elif ! install peers/next; then
  absent[next]="npm ci failed: $(why "$results/npm.log")"
elif [ -n "$(find peers/next -path '*/node_modules' -prune -o -path '*/.next' -prune -o -type f -newer peers/next/.next/BUILD_ID -print 2>&1)" ]; then
  step "building the Next.js peer"
  (cd peers/next && npm run build) >"$results/next-build.log" 2>&1 || absent[next]="the build failed: $(why "$results/next-build.log")"
fi
step "building the load generator"
CARGO_TARGET_DIR=$target cargo build --quiet --release --locked --manifest-path load/Cargo.toml >"$results/load-build.log" 2>&1 || load=

ready=$SECONDS
loadavg=$(cut -d ' ' -f 1 /proc/loadavg)

# ---- first load of / --------------------------------------------------------------------------------------------------------------------

pin=()
sites=()
for who in $(! wanted page || echo duplex next); do
  if [ -n "${absent[$who]:-}" ]; then
    missing page $who "${absent[$who]}"
  elif start $who; then
    sites+=("$who=http://127.0.0.1:$port/")
  else
    missing page $who "did not start: $(why "$results/$who.log")"
  fi
done
if ! wanted page; then
  :
elif [ -n "${absent[ws]:-}" ]; then
  missing page both "${absent[ws]}"
elif ! [ -x "$CHROMIUM" ]; then
  missing page both "no Chromium at $CHROMIUM"
elif ((${#sites[@]})); then
  step "first loads in Chromium: ${sites[*]}"
  timeout --foreground 420 node page.mjs "${PAGE_RUNS:-9}" "${sites[@]}" 2>"$results/page.log" >>"$raw" ||
    missing page both "page.mjs: $(grep -m 1 Error "$results/page.log" || echo "ended with $?")"
fi
stop_all

# ---- /api/echo --------------------------------------------------------------------------------------------------------------------------

# The names by which the load generator knows the messages of a server, and the servers that collect garbage on SIGUSR2.
declare -A speaks=([before]=duplex [bun]=ws) collects=([bun]=1 [ws]=1 [socketio]=1)

# socket WHAT WHO MODE key=value...: one measurement of a server that is started for it and stopped afterwards.
socket() {
  local what=$1 who=$2 result common
  if [ -z "$load" ]; then
    missing "$what" "$who" "the load generator could not be built: $(why "$results/load-build.log")"
  elif [ -n "${absent[$who]:-}" ]; then
    missing "$what" "$who" "${absent[$who]}"
  elif ! start "$who"; then
    missing "$what" "$who" "did not start: $(why "$results/$who.log")"
  elif common=(addr="127.0.0.1:$port" pid="${pids[$who]}" server="${speaks[$who]:-$who}" collect="${collects[$who]:-0}") &&
    result=$(timeout --foreground 90 "${pin_load[@]}" "$load" "${@:3}" "${common[@]}" 2>"$results/load.log"); then
    echo "{\"kind\":\"socket\",\"what\":\"$what\",\"who\":\"$who\",${result#\{}" >>"$raw"
  else
    missing "$what" "$who" "load: $(why "$results/load.log")"
  fi
  stop "$who"
}

# turns WHO...: the servers of this round; each round starts with the next one.
turns() {
  local skip=$(((round - 1) % $#))
  echo "${@:skip + 1}" "${@:1:skip}"
}

pin=("${pin_server[@]}")
idle=5000 most=12000
files=$(($(ulimit -n) - 200))
((files > idle)) || idle=$files
((files > most)) || most=$files
for ((round = 1; round <= $(wanted echo && echo "${ROUNDS:-3}" || echo 0); round++)); do
  ((SECONDS - ready < 540)) || { note "time limit reached after $((round - 1)) rounds of the echo"; break; }
  step "echo, round $round"
  for who in $(turns duplex $before bun ws); do
    echo=(path=/api/echo size=125 warmup=1 seconds=2)
    socket "echo 1" "$who" echo "${echo[@]}" connections=64 in_flight=1
    socket "echo 16" "$who" echo "${echo[@]}" connections=64 in_flight=16
    socket "echo 512" "$who" echo "${echo[@]}" connections=512 in_flight=1
    socket idle "$who" idle "${echo[@]}" connections="$idle"
  done
done

# ---- topics -----------------------------------------------------------------------------------------------------------------------------

# The disk's latency is a lower bound of a commit's.
if [ -n "$load" ] && wanted commands fanout deflate resume && disk=$("$load" disk path="$data/probe" seconds=1); then
  echo "{\"kind\":\"disk\",${disk#\{}" >>"$raw"
fi
topics_ready=$SECONDS
for ((round = 1; round <= $(wanted commands fanout deflate resume members && echo "${TOPIC_ROUNDS:-2}" || echo 0); round++)); do
  ((SECONDS - topics_ready < 900)) || { note "time limit reached after $((round - 1)) rounds of the topics"; break; }
  step "topics, round $round"
  if wanted commands; then
    for who in $(turns duplex $before); do
      commands=(commands warmup=1 seconds=3)
      socket "commands 1" "$who" "${commands[@]}" sessions=64 in_flight=16 topics=1
      socket "commands 100" "$who" "${commands[@]}" sessions=64 in_flight=16 topics=100
      socket command "$who" "${commands[@]}" sessions=1 in_flight=1 topics=1
    done
  fi
  if wanted fanout; then
    fanout=(fanout warmup=1 seconds=3 rate=20000 paced=4)
    for who in $(turns duplex $before bun ws postcard socketio); do
      socket "fanout 1000" "$who" "${fanout[@]}" members=1000 window=64
    done
    for who in $(turns duplex $before bun ws socketio); do
      socket "fanout 5000" "$who" "${fanout[@]}" members="$idle" window=16
    done
    for who in $(turns duplex $before bun); do
      socket "fanout 12000" "$who" "${fanout[@]}" members="$most" window=8
    done
  fi
  if wanted deflate; then
    # Without compression too, so that both are measured in turn.
    for who in $(turns duplex $before bun); do
      deflate=
      socket "deflate off" "$who" fanout warmup=1 seconds=3 rate=20000 paced=1 members=1000 window=64
      deflate=1
      socket "deflate on" "$who" fanout warmup=1 seconds=3 rate=20000 paced=1 members=1000 window=64 deflate=1
      deflate=
    done
    for who in $(turns duplex $before); do
      socket "state off" "$who" state messages=20
      socket "state on" "$who" state messages=20 deflate=1
    done
  fi
  if wanted resume; then
    recovery=1
    for who in $(turns duplex socketio); do
      socket resume "$who" resume members=2000 events=50
    done
    recovery=
  fi
  if wanted members; then
    for who in $(turns duplex $before bun ws socketio); do
      socket members "$who" members members="$idle"
    done
  fi
done

# ---- the arena --------------------------------------------------------------------------------------------------------------------------

# Its peer is the arena itself, which sends the complete world as JSON to every viewer.
arena_ready=$SECONDS
for ((round = 1; round <= $(wanted arena && echo "${ARENA_ROUNDS:-3}" || echo 0); round++)); do
  ((SECONDS - arena_ready < 420)) || { note "time limit reached after $((round - 1)) rounds of the arena"; break; }
  step "arena, round $round"
  for viewers in 10 50 200; do
    for who in $(turns duplex json); do
      socket "arena $viewers" "$who" arena viewers=$viewers warmup=3 seconds=5
    done
  done
done

# ---- the table --------------------------------------------------------------------------------------------------------------------------

version() { node -p 'require(process.argv[1]).version' "$1" 2>/dev/null || echo '?'; }
commit=$(git rev-parse --short HEAD 2>/dev/null)
[ -z "$commit" ] || [ -z "$(git status --porcelain -- .. 2>/dev/null)" ] || commit+=", changed"
json kind=run parts="${parts# }" date="$(date -u +%FT%TZ)" idle="$idle" most="$most" before="${BEFORE:-}" load="$loadavg" cores="$cores" pinned="${pin_server[*]:+yes}" \
  cpu="$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" kernel="$(uname -sr)" seconds="$SECONDS" \
  duplex="$(sed -n 's/^version = "\(.*\)"/\1/p' ../Cargo.toml | head -n 1)${commit:+ ($commit)}" \
  next="$(version ./peers/next/node_modules/next/package.json)" ws="$(version ./node_modules/ws/package.json)" socketio="$(version ./node_modules/socket.io/package.json)" bun="$([ -z "$bun" ] || "$bun" --version 2>/dev/null)" node="$(node -v)"
node report.mjs "$raw" "$results"
