// Only the CRD files of this module are used; nothing is compiled.
module fairway.dev/cluster/prometheus-operator

go 1.26.0

require github.com/prometheus-operator/prometheus-operator v0.85.0
