# Completion of leasedns(8) for fish. Belongs to /usr/share/fish/vendor_completions.d.

# Names of guests and hosts, by the configuration on the line. Never for long, and silent if it
# fails.
function __leasedns_names
    set -l tokens (commandline -opc)
    set -l conf
    for i in (seq 2 (count $tokens))
        switch $tokens[$i]
            case -c --config
                set conf -c $tokens[(math $i + 1)]
            case '--config=*'
                set conf $tokens[$i]
        end
    end
    timeout 2 $tokens[1] list $conf --json 2>/dev/null |
        string replace -rf '^ *"name": "([^"\\\\]*)",?$' '$1' | sort -u
end

# Whether COMMAND was given and nothing that is no option behind it.
function __leasedns_wants_name -a command
    set -l tokens (commandline -opc)
    test "$tokens[2]" = $command; or return 1
    set -l skip no
    for token in $tokens[3..]
        if test $skip = yes
            set skip no
            continue
        end
        switch $token
            case -c --config
                set skip yes
            case '-*'
            case '*'
                return 1
        end
    end
    return 0
end

function __leasedns_command
    set -l tokens (commandline -opc)
    contains -- "$tokens[2]" $argv
end

function __leasedns_no_command
    test (count (commandline -opc)) -eq 1
end

complete -c leasedns -f
complete -c leasedns -n __leasedns_no_command -a serve -d 'answer DNS, and keep the index that NSS modules read'
complete -c leasedns -n __leasedns_no_command -a list -d 'list the names and addresses that are known'
complete -c leasedns -n __leasedns_no_command -a lookup -d 'say what a name or an address means, and where that comes from'
complete -c leasedns -n __leasedns_no_command -a check -d 'say what keeps names from resolving on this host, and the mend'
complete -c leasedns -n __leasedns_no_command -a index -d 'build and publish the index once'
complete -c leasedns -n __leasedns_no_command -a stats -d 'show what the running server has counted'
complete -c leasedns -n __leasedns_no_command -l version -d 'print the version'
complete -c leasedns -n __leasedns_no_command -l help -d 'print the commands'

set -l any '__leasedns_command serve list lookup check index stats'
complete -c leasedns -n "$any" -s c -l config -r -F -d 'read another configuration file'
complete -c leasedns -n "$any" -s h -l help -d 'print the options'
complete -c leasedns -n '__leasedns_command serve' -l print-config -d 'print what is in force'
complete -c leasedns -n '__leasedns_command serve' -s v -l verbose -d 'say more in the log'
complete -c leasedns -n '__leasedns_command list lookup check stats' -l json -d 'print JSON'
complete -c leasedns -n '__leasedns_command list' -l watch -d 'show each change'
complete -c leasedns -n '__leasedns_command list' -l all -d 'also show expired and hidden names'
complete -c leasedns -n '__leasedns_command stats' -l prometheus -d 'print the format of Prometheus'
complete -c leasedns -n '__leasedns_command stats' -l all -d 'also show counters that are 0'
complete -c leasedns -n '__leasedns_wants_name lookup; or __leasedns_wants_name check' -a '(__leasedns_names)'
