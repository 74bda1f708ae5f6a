# Makes a throw-away PostgreSQL cluster, says "ready PORT" (or "failed: why"), and takes it away when its input ends.
# Arguments: this script's own text, the folder of the programs, whether what it holds must outlast a crash ("durable",
# or "quick"), the ports to try. First line of input: the password. Further lines: orders, each answered by one line.
script=$1 programs=$2 durability=$3
shift 3

# PostgreSQL refuses to run as root. The script's text is handed on because another user may not be able to read the
# file that it came from.
if [ "$(id -u)" = 0 ]; then
    if id postgres >/dev/null 2>&1; then user=postgres; else user=nobody; fi
    set -- sh -c "$script" "$0" "$script" "$programs" "$durability" "$@"
    if command -v setpriv >/dev/null; then
        exec setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups "$@"
    fi
    exec runuser -u "$user" -- "$@"
fi

# A signal that ends the tests must not end this process, which cleans up after them; neither may a closed pipe.
trap '' HUP INT TERM PIPE
unset PGDATA PGPORT PGHOST PGUSER PGOPTIONS
name=usersync-postgres.XXXXXX
folder=$(mktemp -d "${TMPDIR:-/tmp}/$name") || folder=$(mktemp -d "/tmp/$name") || {
    echo "failed: no temporary folder"
    exit 1
}
data=$folder/data log=$folder/log
IFS= read -r password
(umask 077 && printf '%s\n' "$password" >"$folder/password")

give_up() {
    # One line, for the reader reads one: the last words of the log, which is where the reason stands.
    echo "failed: $1: $(tail -n 3 "$log" | tr '\n' ' ')"
    rm -rf "$folder"
    exit 1
}

"$programs/initdb" -D "$data" -U postgres -A scram-sha-256 --pwfile="$folder/password" -E UTF8 --no-locale --no-sync \
    >"$log" 2>&1 </dev/null || give_up initdb

cat >>"$data/postgresql.conf" <<SETTINGS
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
timezone = 'UTC'
SETTINGS
if [ "$durability" != durable ]; then
    cat >>"$data/postgresql.conf" <<SETTINGS
fsync = off
synchronous_commit = off
full_page_writes = off
SETTINGS
fi

start() {
    "$programs/pg_ctl" -D "$data" -l "$log" -w -t 60 start >/dev/null 2>&1 </dev/null
}

stop() {
    "$programs/pg_ctl" -D "$data" -m immediate -w stop >/dev/null 2>&1 </dev/null
}

# After SIGKILL the children need a moment to notice; until then a new server refuses their memory.
start_again() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        start && return
        sleep 1
    done
    return 1
}

obey() {
    case $1 in
    stop) stop ;;
    kill) kill -9 "$(head -n 1 "$data/postmaster.pid")" ;;
    start) start_again ;;
    *) false ;;
    esac
}

for port in "$@"; do
    echo "port = $port" >>"$data/postgresql.conf"
    if start; then
        echo "ready $port"
        while IFS= read -r order; do
            if obey "$order"; then echo done; else echo "failed: $(tail -n 3 "$log" | tr '\n' ' ')"; fi
        done
        stop
        rm -rf "$folder"
        exit 0
    fi
done
give_up "pg_ctl start"
