# Runs the scripts that come from outside through a port of the virtual machine, one at a time, and answers with status
# and output. A script is a line, with backslashes and line feeds escaped.
export HOME=/root LANG=C.UTF-8 TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin
exec 3<> "$(echo /dev/vport*p1)"
echo ready >&3
while read -r job <&3; do
    printf '%b' "$job" > /run/vm-job
    sh -eu /run/vm-job > /run/vm-out 2> /run/vm-err < /dev/null
    jq -cn --argjson status $? --rawfile out /run/vm-out --rawfile err /run/vm-err '[$status, $out, $err]' >&3
done
