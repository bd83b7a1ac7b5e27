-- Holds the run where it is. This is a change of the spec: where Git names paused, Argo CD will call it out of sync.
obj.spec.paused = true
return obj
