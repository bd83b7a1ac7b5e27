-- Ends the run: the candidate loses its weight at once.
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["fairway.dev/abort"] = obj.status.run.id
return obj
