# What the test scripts beside this folder begin with; sourced, from the top of the project.

# The program to test: the one given, else a debug build; as an absolute path.
program_to_test() {
    if [ -z "${1:-}" ]; then
        cargo build --locked >&2
    fi
    realpath "${1:-target/debug/fleetsim}"
}

# COMMAND PACKAGE…: installs the packages with apt-get (as root) where the command is missing.
need() {
    local command=$1
    shift
    if command -v "$command" >/dev/null; then
        return
    fi
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "$command is missing: install $*" >&2
        exit 127
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}
