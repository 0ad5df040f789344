// What holds a pod's namespaces open.
module tepui.dev/testbed/pause

go 1.26.0
