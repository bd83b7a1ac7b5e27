-- Lets the run go on. False, not absent: a field that Git does not name is no difference.
obj.spec.paused = false
return obj
