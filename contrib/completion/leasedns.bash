# Completion of leasedns(8) for bash, with the package bash-completion. Belongs to
# /usr/share/bash-completion/completions/leasedns.
# shellcheck shell=bash

# __leasedns_names: those of guests and hosts, by what is on the line so far. Never for long, and
# silent if it fails. Names with blanks are left out: their aliases are there.
__leasedns_names() {
	local conf=() i
	for ((i = 2; i < cword - 1; i++)); do
		[[ ${words[i]} != @(-c|--config) ]] || conf=(-c "${words[i + 1]}")
	done
	timeout 2 "${words[0]}" list "${conf[@]}" --json 2>/dev/null |
		sed -n 's/^ *"name": "\([^" \\]*\)",\{0,1\}$/\1/p'
}

# __leasedns_wants_name: whether no name stands on the line yet.
__leasedns_wants_name() {
	local i
	for ((i = 2; i < cword; i++)); do
		case ${words[i]} in
		-c | --config) ((i++)) ;;
		-*) ;;
		*) return 1 ;;
		esac
	done
}

_leasedns() {
	# shellcheck disable=SC2034 # "split" is _init_completion's
	local cur prev words cword split options=''
	_init_completion -s || return
	if ((cword == 1)); then
		mapfile -t COMPREPLY < <(compgen -W 'serve list lookup check index stats --help --version' \
			-- "$cur")
		return
	fi
	case $prev in
	-c | --config)
		_filedir
		return
		;;
	esac
	case ${words[1]} in
	serve) options='--print-config -v --verbose' ;;
	list) options='--json --watch --all' ;;
	lookup | check) options='--json' ;;
	index) ;;
	stats) options='--json --prometheus --all' ;;
	*) return ;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "-c --config -h --help $options" -- "$cur")
	elif [[ ${words[1]} == @(lookup|check) ]] && __leasedns_wants_name; then
		mapfile -t COMPREPLY < <(compgen -W "$(__leasedns_names | sort -u)" -- "$cur")
	fi
}

complete -F _leasedns leasedns
