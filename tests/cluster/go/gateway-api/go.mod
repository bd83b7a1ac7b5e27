// Only the CRD files of this module are used; nothing is compiled.
module fairway.dev/cluster/gateway-api

go 1.26.0

require sigs.k8s.io/gateway-api v1.7.0
